"""What a scene is made of: flat pieces that move rigidly in front of a moving camera.

World coordinates: one unit is the height of the picture, x to the right, y down, the horizon at
y = 0. The ground is a plane under the camera: its row y > 0 lies at a distance proportional to 1/y,
so a thing that stands at row y shifts by y for each unit that the camera travels sideways. Every
motion is an affine map of the picture, and optical flow is therefore exact.
"""

from dataclasses import dataclass, field

import numpy as np

from jaxstyle.data.scenes.colors import Light

NO_INK, SKY_OUTLINE = 0, 1  # outline numbers; all others are free
PATH = 4.4  # width of the stretch of world that vehicles and walkers cross before they start again


@dataclass(frozen=True)
class Body:
    """A rigid piece and how it moves. A child moves with its parent, around its own pivot.

    parallax: shift per unit of camera travel; the ground row for things that stand, 0 at infinity.
    ground: True for the ground plane itself, whose every row shifts by its own y.
    speed: units per second along x; the piece re-enters on the other side after `PATH` units.
    rest, swing, rate, phase: angle around the pivot = rest + swing * sin(2 pi (rate t + phase)), in
      radians, Hz and cycles; spin adds a steady rotation, in radians per second.
    bob: height of an up and down motion at the same rate, in units.
    """

    parallax: float = 0.0
    ground: bool = False
    parent: int = -1
    pivot: tuple[float, float] = (0.0, 0.0)
    speed: float = 0.0
    rest: float = 0.0
    swing: float = 0.0
    rate: float = 0.0
    phase: float = 0.0
    spin: float = 0.0
    bob: float = 0.0

    def motion(self, seconds: float) -> np.ndarray:
        """The piece's own motion, as a 3x3 matrix in world coordinates."""
        wave = np.sin(2 * np.pi * (self.rate * seconds + self.phase))
        angle = self.rest + self.swing * wave + self.spin * seconds
        x, y = self.pivot
        travelled = x + self.speed * seconds
        if self.speed:
            travelled = (travelled + PATH / 2) % PATH - PATH / 2
        cos, sin = np.cos(angle), np.sin(angle)
        to_x, to_y = travelled, y + self.bob * wave
        return np.array(
            [
                [cos, -sin, to_x - cos * x + sin * y],
                [sin, cos, to_y - sin * x - cos * y],
                [0.0, 0.0, 1.0],
            ]
        )


@dataclass(frozen=True)
class Shape:
    """A filled piece of one material. Later shapes cover earlier ones.

    contours: polygons, float64 [K, 2] each, in world coordinates.
    body: index of the body that it moves with.
    outline: ink runs where two different outline numbers meet, unless one of them is `NO_INK`.
    lit, unlit: RGB in [0, 1] of the material in full light and in full shade.
    self_lit: True where `lit` and `unlit` are final colours (sky, lamps), False where the light of
      the scene still has to fall on them.
    haze: 0 (near) to 1 (all air).
    tones: number of flat tones in the cel rendering.
    shading: (a, b, c); the amount of light at a point is a x + b y + c, clipped to [0, 1].
    blotch: how much a smooth random pattern disturbs that amount, which bends its contours.
    grain: contrast of the fine texture, photo only. grain_size: its (x, y) scale in units.
    ground: True where cast shadows fall on it.
    glow: light that it spreads into the air around it, photo only.
    """

    contours: list[np.ndarray]
    body: int
    outline: int
    lit: tuple[float, float, float]
    unlit: tuple[float, float, float]
    self_lit: bool = False
    haze: float = 0.0
    tones: int = 2
    shading: tuple[float, float, float] = (0.0, 0.0, 0.7)
    blotch: float = 0.0
    grain: float = 0.06
    grain_size: tuple[float, float] = (1.0, 1.0)
    ground: bool = False
    glow: float = 0.0


@dataclass(frozen=True)
class Shadow:
    """A cast shadow: it darkens the ground shapes below it and nothing else."""

    contours: list[np.ndarray]
    body: int


@dataclass(frozen=True)
class Camera:
    """Travels, looks around and zooms, all of it slowly and for ever (sines of seconds).

    Each of `travel`, `pan` and `zoom` is (amplitude, period in seconds, phase in cycles).
    `horizon` is the row of the horizon, as a part of the picture's height. `shake` is the
    amplitude of the unsteady hand, in units.
    """

    horizon: float
    travel: tuple[float, float, float]
    pan: tuple[float, float, float]
    zoom: tuple[float, float, float]
    shake: float

    def view(self, seconds: float, size: tuple[int, int]) -> tuple[np.ndarray, float]:
        """The 3x3 map from world to pixels of a picture of `size` (H, W), and the travel."""

        def wave(amplitude, period, phase):
            return amplitude * np.sin(2 * np.pi * (seconds / period + phase))

        height, width = size
        look_x = wave(*self.pan) + self.shake * np.sin(5.1 * seconds + 1.0)
        look_y = self.shake * np.sin(3.7 * seconds)
        # A picture wider than 2:1 shows less of the height, never more of the width.
        scale = max(height, width / 2) * (1.0 + abs(self.zoom[0]) + wave(*self.zoom))
        # The zoom keeps the middle of the picture in place.
        middle = 0.5 - self.horizon + look_y
        view = np.array(
            [
                [scale, 0.0, width / 2 - scale * look_x],
                [0.0, scale, height / 2 - scale * middle],
                [0.0, 0.0, 1.0],
            ]
        )
        return view, wave(*self.travel)


@dataclass
class Scene:
    """Everything that a renderer needs: shapes from back to front, bodies, shadows, light."""

    camera: Camera
    light: Light
    bodies: list[Body] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    shadows: list[Shadow] = field(default_factory=list)

    def poses(self, seconds: float, size: tuple[int, int]) -> np.ndarray:
        """The maps from world to pixels of all bodies, float64 [bodies, 3, 3]."""
        view, travel = self.camera.view(seconds, size)
        world = np.empty((len(self.bodies), 3, 3))
        for i, body in enumerate(self.bodies):
            if body.parent >= 0:
                world[i] = world[body.parent] @ body.motion(seconds)
            else:
                parallax = np.array(
                    [
                        [1.0, -travel if body.ground else 0.0, -travel * body.parallax],
                        [0.0, 1.0, 0.0],
                        [0.0, 0.0, 1.0],
                    ]
                )
                world[i] = parallax @ body.motion(seconds)
        return view @ world
