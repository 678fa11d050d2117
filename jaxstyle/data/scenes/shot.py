"""The shot of a seed: single frames, and clips with their optical flow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxstyle.data.scenes.layout import draw_scene
from jaxstyle.data.scenes.render import Geometry, Renderer
from jaxstyle.errors import UserError

RENDERINGS = ("photo", "cel")
VERSION = 1  # of the pixels: raise it with every change to what is drawn, or caches go stale
FRAME_RATE = 24
MIN_SIDE = 32

# One independent random stream per purpose, so that a change to one leaves the others alone.
_LAYOUT, _MOMENT, _NOISE = range(3)


@dataclass(frozen=True)
class Clip:
    """A moving shot, drawn both ways.

    photo, cel: uint8 [n, H, W, 3], RGB.
    flow: float32 [P, H, W, 2], for each of P pairs of frames the displacement (x, y) in pixels,
      from the first to the second, of what each pixel of the first shows.
    occluded: bool [P, H, W], True where that is covered, or out of the frame, in the second.
    """

    photo: np.ndarray
    cel: np.ndarray
    flow: np.ndarray
    occluded: np.ndarray


class Shot:
    """The scene of a seed, filmed at a size (H, W).

    Frame k is k / FRAME_RATE seconds after a moment that the seed chooses, when everything that
    moves may be anywhere on its path.
    """

    def __init__(self, seed: int, size: tuple[int, int]):
        self.seed = seed
        self.renderer = Renderer(draw_scene(self._stream(_LAYOUT)), size)
        self.start = self._stream(_MOMENT).uniform(0, 60)

    def _stream(self, *purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, *purpose]))

    def geometry(self, k: int) -> Geometry:
        """The geometry of frame k."""
        return self.renderer.geometry(self.start + k / FRAME_RATE)

    def draw(self, rendering: str, geometry: Geometry, k: int) -> np.ndarray:
        """Frame k, whose geometry is given, as uint8 [H, W, 3]. Its sensor noise is its own."""
        if rendering == "cel":
            return self.renderer.cel(geometry)
        return self.renderer.photo(geometry, self._stream(_NOISE, k))


def frame(rendering: str, seed: int, size: tuple[int, int]) -> np.ndarray:
    """The first frame of the shot of a seed, uint8 [H, W, 3]."""
    shot = Shot(seed, size)
    return shot.draw(rendering, shot.geometry(0), 0)


def clip(
    seed: int,
    n: int,
    size: tuple[int, int] = (256, 256),
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Clip:
    """Renders the first n frames of the shot of a seed, 1/24 s apart.

    Frame 0 is the frame that `Scenes` gives for the same seed and size (H, W). The flow is that of
    surfaces: shadows that cross the ground and the sensor noise of the photo do not follow it. It
    is exact over any time: `pairs` are the frames (first, second) between which it is wanted, by
    default the n-1 of consecutive frames.
    Raises UserError for a seed below 0, n < 1 or a size that is too small, and ValueError unless
    0 <= first < second < n.
    """
    check(seed, n, size)
    if pairs is None:
        pairs = [(k, k + 1) for k in range(n - 1)]
    for first, second in pairs:
        if not 0 <= first < second < n:
            raise ValueError(f"no flow from frame {first} to frame {second} in a clip of {n}")
    shot = Shot(seed, size)
    height, width = size
    photo = np.empty((n, height, width, 3), np.uint8)
    cel = np.empty_like(photo)
    flow = np.empty((len(pairs), height, width, 2), np.float32)
    occluded = np.empty((len(pairs), height, width), bool)
    geometries: dict[int, Geometry] = {}
    for k in range(n):
        geometry = shot.geometry(k)
        photo[k] = shot.draw("photo", geometry, k)
        cel[k] = shot.draw("cel", geometry, k)
        for i, (first, second) in enumerate(pairs):
            if second == k:
                flow[i], occluded[i] = shot.renderer.flow(geometries[first], geometry)
        # They are large: only those stay that a later frame is still compared with.
        geometries[k] = geometry
        awaited = {first for first, second in pairs if second > k}
        geometries = {first: geometries[first] for first in awaited & geometries.keys()}
    return Clip(photo, cel, flow, occluded)


def check(seed: int, count: int, size: tuple[int, int]) -> None:
    """Raises UserError unless frames can be drawn with these arguments."""
    if seed < 0:
        raise UserError(f"scenes: the seed is {seed}; give 0 or more")
    if count < 1:
        raise UserError(f"scenes: {count} frames asked for; give 1 or more")
    if min(size) < MIN_SIDE:
        raise UserError(
            f"scenes: size {size[0]}x{size[1]} (height x width) is too small; "
            f"give {MIN_SIDE} or more on each side"
        )
