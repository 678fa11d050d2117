"""Draws a scene: the geometry of a frame once, then as a photo, as a cel, and its optical flow.

A frame is first drawn as numbers at twice its size: which shape each sample shows, and how much
light falls there, in `LEVELS` steps. A rendering is then no more than a table from (shape, level)
to a colour: smooth for the photo, a few flat tones for the cel. That is why the two share their
geometry to the pixel. Averaging 2x2 samples makes the edges smooth.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from jaxstyle.data.scenes.colors import cel_colour
from jaxstyle.data.scenes.geometry import NO_INK, Scene, Shadow, Shape

LEVELS = 32
INK = np.array([0.10, 0.08, 0.15], np.float32)
_TILE = 256  # side of the repeating texture, in samples; one world unit at grain size 1


@dataclass(frozen=True)
class Geometry:
    """What a frame shows, before it has colours.

    shapes: intp [2H, 2W], the number of the shape that each sample shows.
    levels: intp [2H, 2W], the light there, 0 to LEVELS - 1.
    grain: float32 [H, W], fine texture that sticks to the shapes, mean 0, about [-1, 1].
    poses: float64 [bodies, 3, 3], world to pixels.
    """

    shapes: np.ndarray
    levels: np.ndarray
    grain: np.ndarray
    poses: np.ndarray


def _value_noise(rng: np.random.Generator, octaves: list[tuple[int, float]]) -> np.ndarray:
    """Tileable noise, float32 [_TILE, _TILE]: the sum of (cells per side, amplitude) octaves."""
    noise = np.zeros((_TILE, _TILE), np.float32)
    for cells, amplitude in octaves:
        lattice = np.pad(rng.random((cells, cells), dtype=np.float32) * 2 - 1, 2, mode="wrap")
        step = _TILE // cells
        smooth = cv2.resize(lattice, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        noise += amplitude * smooth[2 * step : 2 * step + _TILE, 2 * step : 2 * step + _TILE]
    return noise


@functools.cache
def _texture() -> np.ndarray:
    """The texture of all scenes, uint8 [_TILE, _TILE, 2]: fine grain, and soft blotches."""
    rng = np.random.Generator(np.random.PCG64(20))
    grain = _value_noise(rng, [(128, 0.7), (64, 0.55), (32, 0.35), (8, 0.25)])
    blotch = _value_noise(rng, [(8, 0.8), (16, 0.5), (32, 0.2)])
    return np.rint(np.clip(np.stack([grain, blotch], -1), -1, 1) * 127 + 128).astype(np.uint8)


def _pack(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """RGB [N, LEVELS, 3] and alpha [N], in [0, 1], as uint32 [N * LEVELS] of four bytes each."""
    packed = np.empty((*colours.shape[:2], 4), np.uint8)
    packed[..., :3] = np.rint(np.clip(colours, 0, 1) * 255)
    packed[..., 3] = np.rint(alpha * 255)[:, None]
    return packed.view(np.uint32).ravel()


class Renderer:
    """Renders the frames of one scene at one size (height, width).

    The tables that all frames share are built once. `photo`, `cel` and `flow` are pure functions
    of the geometry that `geometry(seconds)` returns.
    """

    def __init__(self, scene: Scene, size: tuple[int, int]):
        self.scene, self.size = scene, size
        shapes = scene.shapes

        def table(name, dtype=np.float32):
            return np.array([getattr(shape, name) for shape in shapes], dtype)

        self._body = table("body", np.intp)
        self._outline = table("outline", np.uint16)
        self._shading = table("shading", np.float64)
        self._grain_size = table("grain_size", np.float64)
        self._blotch, self._grain = table("blotch"), table("grain") * (1 - table("haze"))
        # How much light a full shadow takes from the ground, and from nothing else.
        self._shaded = table("ground") * np.float32(0.62)

        # The vertices of everything that is drawn, to move them in one product.
        drawn: list[Shape | Shadow] = [*shapes, *scene.shadows]
        contours = [c for item in drawn for c in item.contours]
        owner = np.repeat([item.body for item in drawn], [len(item.contours) for item in drawn])
        lengths = [len(c) for c in contours]
        self._vertices = np.concatenate(contours)
        self._vertex_body = np.repeat(owner, lengths)
        self._vertex_stop = np.cumsum(lengths)
        self._contours_of = [len(item.contours) for item in drawn]

    def _ramp(self, levels: np.ndarray) -> np.ndarray:
        """RGB [shapes, len of levels, 3] of every shape's material under light and haze."""
        light, shapes = self.scene.light, self.scene.shapes
        ambient, sun = np.array(light.ambient), np.array(light.sun)
        lit = np.array([shape.lit for shape in shapes])
        unlit = np.array([shape.unlit for shape in shapes])
        own = np.array([shape.self_lit for shape in shapes])[:, None]
        lit = np.where(own, lit, lit * (ambient + sun))[:, None]
        unlit = np.where(own, unlit, unlit * ambient)[:, None]
        colours = unlit + (lit - unlit) * levels[..., None]
        haze = np.array([shape.haze for shape in shapes])[:, None, None]
        return colours + haze * (np.array(light.horizon) - colours)

    @functools.cached_property
    def _photo_table(self) -> np.ndarray:
        levels = np.linspace(0, 1, LEVELS)[None].repeat(len(self.scene.shapes), 0)
        glow = np.array([shape.glow for shape in self.scene.shapes])
        return _pack(self._ramp(levels), glow)

    @functools.cached_property
    def _cel_table(self) -> np.ndarray:
        tones = np.array([shape.tones for shape in self.scene.shapes])[:, None]
        levels = np.linspace(0, 1, LEVELS)
        flat = (np.minimum(np.floor(levels * tones), tones - 1) + 0.5) / tones
        return _pack(cel_colour(self._ramp(flat)), np.zeros(len(tones)))

    def geometry(self, seconds: float) -> Geometry:
        """Draws the numbers of the frame at a time of the shot."""
        height, width = self.size
        poses = self.scene.poses(seconds, self.size)
        shapes, shadow = self._draw(poses)

        # Per shape, the row vectors that take a pixel to its light and to its texture position.
        to_world = np.linalg.inv(poses)[self._body]
        light = np.einsum("ni,nij->nj", self._shading, to_world).astype(np.float32)
        scale = _TILE / self._grain_size
        u = (to_world[:, 0] * scale[:, :1]).astype(np.float32)
        v = (to_world[:, 1] * scale[:, 1:]).astype(np.float32)

        at = shapes[1::2, 1::2]
        x, y = _centres(height, width)
        u, v = (
            np.take(c[:, 0], at) * x + np.take(c[:, 1], at) * y + np.take(c[:, 2], at)
            for c in (u, v)
        )
        texture = cv2.remap(_texture(), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        texture = (texture.astype(np.float32) - 128) / 127
        blotch = cv2.resize(texture[..., 1], (2 * width, 2 * height))

        x, y = (0.5 * c for c in _centres(2 * height, 2 * width))
        amount = np.take(light[:, 0], shapes) * x
        amount += np.take(light[:, 1], shapes) * y
        amount += np.take(light[:, 2], shapes)
        amount += np.take(self._blotch, shapes) * blotch
        amount -= np.take(self._shaded, shapes) * shadow
        levels = np.rint(np.clip(amount, 0, 1) * (LEVELS - 1)).astype(np.intp)
        return Geometry(shapes, levels, texture[..., 0] * np.take(self._grain, at), poses)

    def _draw(self, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shape numbers, intp [2H, 2W], and soft shadow, float32 [2H, 2W] in [0, 1]."""
        height, width = self.size
        moved = np.einsum("vij,vj->vi", poses[self._vertex_body, :2, :2], self._vertices)
        moved += poses[self._vertex_body, :2, 2]
        # Two samples a pixel; OpenCV puts sample centres at whole numbers; 4 fractional bits.
        fixed = np.rint((2 * moved - 0.5) * 16).astype(np.int32)
        polygons = np.split(fixed, self._vertex_stop[:-1])

        shapes = np.zeros((2 * height, 2 * width), np.uint16)
        shadow: np.ndarray = np.zeros((2 * height, 2 * width), np.uint8)
        start = 0
        for number, count in enumerate(self._contours_of):
            group = polygons[start : start + count]
            start += count
            if number < len(self.scene.shapes):
                cv2.fillPoly(shapes, group, number, shift=4)
            else:
                # One by one: polygons that overlap in one call would cut holes into each other.
                for polygon in group:
                    cv2.fillPoly(shadow, [polygon], 255, shift=4)
        shadow = cv2.blur(shadow, (3, 3))
        return shapes.astype(np.intp), shadow.astype(np.float32) / 255

    def _flat(self, table: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Looks the colours up and averages 2x2 samples: uint8 [H, W, 4]."""
        height, width = self.size
        samples = np.take(table, geometry.shapes * LEVELS + geometry.levels)
        samples = samples.view(np.uint8).reshape(2 * height, 2 * width, 4)
        return cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)

    def cel(self, geometry: Geometry) -> np.ndarray:
        """The cel rendering, uint8 [H, W, 3]: flat tones and ink."""
        height, width = self.size
        flat = self._flat(self._cel_table, geometry)[..., :3].astype(np.float32)
        outline = np.take(self._outline, geometry.shapes)
        edges: np.ndarray = np.zeros(outline.shape, np.uint8)
        inked = outline != NO_INK
        across = (outline[:, 1:] != outline[:, :-1]) & inked[:, 1:] & inked[:, :-1]
        down = (outline[1:] != outline[:-1]) & inked[1:] & inked[:-1]
        edges[:, 1:] = across * np.uint8(255)
        edges[1:] |= down * np.uint8(255)
        pen = max(2, round(3 * max(height, width / 2) / 256))
        edges = cv2.dilate(edges, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen)))
        ink = cv2.resize(edges, (width, height), interpolation=cv2.INTER_AREA)
        ink = ink[..., None].astype(np.float32) / 255
        # Ink lets a little of the paint below shine through.
        line = INK * 255 + 0.12 * flat
        return np.rint(flat + ink * (line - flat)).astype(np.uint8)

    def photo(self, geometry: Geometry, noise: np.random.Generator) -> np.ndarray:
        """The photo rendering, uint8 [H, W, 3]; `noise` drives the sensor noise only."""
        height, width = self.size
        light = self.scene.light
        pixels = self._flat(self._photo_table, geometry)
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.65 * max(1.0, height / 256))
        colour = pixels[..., :3].astype(np.float32) * (1 / 255)
        colour *= 1 + geometry.grain[..., None]
        colour += _bloom(pixels)
        # Lens and sensor: vignette, exposure, white balance, noise that grows with the signal.
        x, y = _centres(height, width)
        falloff = 1 - 0.32 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
        colour *= (
            falloff[..., None] * np.array(light.balance, np.float32) * np.float32(light.exposure)
        )
        deviation = np.sqrt(0.0003 + 0.0004 * np.clip(colour, 0, 1))
        colour += deviation * noise.standard_normal(colour.shape, dtype=np.float32)
        return np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8)

    def flow(self, now: Geometry, then: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels of `now` are in `then`.

        Returns:
          flow: float32 [H, W, 2], the displacement (x, y) of each pixel of `now`, in pixels.
          occluded: bool [H, W], True where that point is covered or outside the frame in `then`.
        """
        height, width = self.size
        step = (then.poses @ np.linalg.inv(now.poses) - np.eye(3))[:, :2]
        body = self._body[now.shapes[1::2, 1::2]]
        x, y = _centres(height, width)
        dx, dy = (
            np.take(step[:, i, 0], body) * x
            + np.take(step[:, i, 1], body) * y
            + np.take(step[:, i, 2], body)
            for i in (0, 1)
        )
        to_x, to_y = x + dx, y + dy
        inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
        column = np.clip(2 * to_x, 0, 2 * width - 1).astype(np.intp)
        row = np.clip(2 * to_y, 0, 2 * height - 1).astype(np.intp)
        # All points of a body lie in one plane: the same body there means the same point.
        visible = inside & (self._body[then.shapes[row, column]] == body)
        return np.stack([dx, dy], -1).astype(np.float32), ~visible


def _centres(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres, float32 [1, W] and [H, 1]."""
    x = np.arange(width, dtype=np.float32)[None] + np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)
    return x, y


def _bloom(pixels: np.ndarray) -> np.ndarray:
    """Light scattered in the lens, float32 [H, W, 3], from uint8 RGB + glow [H, W, 4]."""
    height, width = pixels.shape[:2]
    if not pixels[..., 3].any():
        return np.zeros((1, 1, 3), np.float32)
    small = cv2.resize(
        pixels, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA
    )
    source = np.rint(small[..., :3] * (small[..., 3:] / 255.0)).astype(np.uint8)
    near = cv2.GaussianBlur(source, (0, 0), max(0.8, height / 160))
    far = cv2.GaussianBlur(source, (0, 0), max(1.6, height / 50))
    light = near.astype(np.float32) * (0.5 / 255) + far.astype(np.float32) * (0.8 / 255)
    return cv2.resize(light, (width, height))
