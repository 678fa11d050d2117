"""The stage that scenery and figures are painted on, and the outlines that they share."""

from typing import Any

import numpy as np

from jaxstyle.data.scenes.colors import Colour, as_colour
from jaxstyle.data.scenes.geometry import SKY_OUTLINE, Body, Scene, Shadow, Shape

Contour = np.ndarray  # float64 [K, 2]


class Stage:
    """Collects the bodies, shapes and shadows of a scene, from back to front.

    camera_height: metres above the ground; sets how large a metre is at each row of the ground.
    """

    def __init__(self, scene: Scene, rng: np.random.Generator, camera_height: float):
        self.scene, self.rng, self.light = scene, rng, scene.light
        self.camera_height = camera_height
        self._outlines = SKY_OUTLINE
        self.sky = self.body()
        self.ground = self.body(ground=True)

    def body(self, **motion: Any) -> int:
        """Adds a `Body` and returns its number."""
        self.scene.bodies.append(Body(**motion))
        return len(self.scene.bodies) - 1

    def outline(self) -> int:
        """A fresh outline number."""
        self._outlines += 1
        return self._outlines

    def metre(self, y: float) -> float:
        """The size of a metre, in units, of things that stand at row y of the ground."""
        return y / self.camera_height

    def air(self, y: float) -> float:
        """Haze in front of things at row y: thick at the horizon, none near the camera."""
        return float(np.clip(self.light.haze * 0.016 / (y + 0.02), 0, 0.8))

    def paint(
        self,
        contours: Contour | list[Contour],
        body: int,
        colour: Colour | np.ndarray,
        light: tuple[float, float] = (0.75, 0.75),
        outline: int | None = None,
        along: tuple[float, float] | None = None,
        unlit: Colour | None = None,
        **look: Any,
    ) -> None:
        """Adds a `Shape`.

        light: the amount of light at the ends of the shape, away from and towards the sun (or
          in the direction `along`). outline: a fresh number if None. unlit: colour in the shade,
          before the light of the scene; a little darker than `colour` if None.
        look: other fields of `Shape`.
        """
        contours = contours if isinstance(contours, list) else [contours]
        low, high = light
        dx, dy = along or self.light.direction
        points = np.concatenate(contours)
        least, most = points.min(0), points.max(0)
        extent = abs(dx) * (most[0] - least[0]) + abs(dy) * (most[1] - least[1]) + 1e-9
        slope = (high - low) / extent
        middle = (least + most) / 2
        offset = (low + high) / 2 - slope * (dx * middle[0] + dy * middle[1])
        self.scene.shapes.append(
            Shape(
                contours=contours,
                body=body,
                outline=self.outline() if outline is None else outline,
                lit=as_colour(colour),
                unlit=as_colour(np.multiply(colour, 0.88) if unlit is None else unlit),
                shading=(slope * dx, slope * dy, offset),
                **look,
            )
        )

    def cast(self, contours: list[Contour], y: float, body: int) -> None:
        """The shadow on the ground of upright contours that stand at row y."""
        dx = np.clip(self.light.direction[0] / self.light.direction[1], -1.2, 1.2)
        thrown = []
        for contour in contours:
            up = y - contour[:, 1]
            thrown.append(np.stack([contour[:, 0] + dx * up, y + 0.3 * up], -1))
        self.scene.shadows.append(Shadow(thrown, body))

    def vary(self, colour: Colour | np.ndarray, amount: float = 0.12) -> Colour:
        """A random neighbour of a colour."""
        shift = 1 + amount * self.rng.uniform(-1, 1) + 0.5 * amount * self.rng.uniform(-1, 1, 3)
        return as_colour(np.clip(np.multiply(colour, shift), 0, 1))

    def choose(self, colours: list[Colour], amount: float = 0.1) -> Colour:
        """One of the colours, varied."""
        return self.vary(colours[self.rng.integers(len(colours))], amount)


def rectangle(left: float, top: float, right: float, bottom: float) -> Contour:
    """Corners of an upright rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def polygon(*points: tuple[float, float]) -> Contour:
    """A contour through the points."""
    return np.array(points, float)


def ellipse(x: float, y: float, rx: float, ry: float, corners: int = 22) -> Contour:
    """An ellipse as a polygon."""
    angle = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], -1)


def blob(
    rng: np.random.Generator, x: float, y: float, rx: float, ry: float, lobes: int = 9
) -> Contour:
    """A round outline of `lobes` bulges: foliage, clouds."""
    angle = np.linspace(0, 2 * np.pi, 5 * lobes, endpoint=False)
    bulge = 1 + 0.10 * np.abs(np.sin(angle * lobes / 2 + rng.uniform(0, 6)))
    bulge += 0.05 * np.sin(angle * 2 + rng.uniform(0, 6))
    return np.stack([x + rx * bulge * np.cos(angle), y + ry * bulge * np.sin(angle)], -1)


def limb(x: float, y: float, length: float, top: float, bottom: float) -> Contour:
    """A rounded piece that hangs down from (x, y), `top` and `bottom` wide."""
    return polygon(
        (x - top / 2, y),
        (x - top / 4, y - top / 3),
        (x + top / 4, y - top / 3),
        (x + top / 2, y),
        (x + bottom / 2, y + length),
        (x + bottom / 4, y + length + bottom / 3),
        (x - bottom / 4, y + length + bottom / 3),
        (x - bottom / 2, y + length),
    )
