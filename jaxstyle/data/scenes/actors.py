"""Things that move by themselves: people, cars and vans, boats, birds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxstyle.data.scenes.colors import PAINTS, Colour
from jaxstyle.data.scenes.geometry import SKY_OUTLINE
from jaxstyle.data.scenes.stage import Stage, ellipse, limb, polygon, rectangle

SKIN = [(0.86, 0.70, 0.60), (0.78, 0.60, 0.48), (0.60, 0.44, 0.34), (0.44, 0.32, 0.26)]
HAIR = [(0.16, 0.13, 0.12), (0.34, 0.24, 0.18), (0.62, 0.50, 0.32), (0.50, 0.28, 0.20)]
TROUSERS = [(0.30, 0.34, 0.44), (0.38, 0.36, 0.34), (0.54, 0.48, 0.40), (0.24, 0.24, 0.28)]


@dataclass(frozen=True)
class _Person:
    """Who walks, and how: feet at (x, y), `height` in units, looking along `facing` (-1 or 1)."""

    x: float
    y: float
    height: float
    facing: int
    stride: float
    phase: float
    torso: int
    look: dict[str, Any]

    def outline(self, *points: tuple[float, float]) -> np.ndarray:
        """A contour from a side view in body heights: x forwards, y up from the feet."""
        return _placed(self.x, self.y, self.facing * self.height, self.height, points)

    def limb(self, top: float, length: float, wide: float, narrow: float) -> np.ndarray:
        """A rounded limb that hangs from `top` body heights above the feet."""
        h = self.height
        return limb(self.x, self.y - top * h, length * h, wide * h, narrow * h)


def _placed(
    x: float, y: float, scale_x: float, scale_y: float, points: Iterable[tuple[float, float]]
) -> np.ndarray:
    """Points of a side view (forwards, up) in the world, around the foot point (x, y)."""
    return np.array([(x + scale_x * px, y - scale_y * py) for px, py in points])


def walker(stage: Stage, x: float, y: float) -> None:
    """A person who walks along row y, with swinging arms and bending knees."""
    rng = stage.rng
    h = rng.uniform(1.55, 1.85) * stage.metre(y)
    facing = int(rng.choice((-1, 1)))
    stride, phase = rng.uniform(0.75, 1.0), rng.uniform()
    speed = facing * rng.uniform(1.0, 1.5) * stage.metre(y)
    # The body rises twice in a stride.
    torso = stage.body(
        parallax=y, pivot=(x, y), speed=speed, rate=2 * stride, phase=2 * phase, bob=0.008 * h
    )
    look: dict[str, Any] = {"haze": stage.air(y), "grain": 0.08, "grain_size": (0.5, 0.5)}
    person = _Person(x, y, h, facing, stride, phase, torso, look)
    skin, shirt, trousers = stage.choose(SKIN), stage.choose(PAINTS), stage.choose(TROUSERS)
    hair, shoes = stage.choose(HAIR), stage.vary((0.30, 0.26, 0.25), 0.3)
    dress = rng.random() < 0.35

    _arm(stage, person, 0.0, shirt, skin)
    for offset in (0.5, 0.0):
        _leg(stage, person, offset, skin if dress else trousers, shoes)
    if dress:
        skirt = person.outline((-0.065, 0.59), (0.065, 0.59), (0.13, 0.32), (-0.13, 0.32))
        stage.paint(skirt, torso, stage.choose(PAINTS), (0.0, 1.0), blotch=0.2, tones=3, **look)
    half = [(0.05, 0.83), (0.085, 0.78), (0.075, 0.57), (0.08, 0.46)]
    chest = person.outline(*half, *[(-px, py) for px, py in reversed(half)])
    stage.paint(chest, torso, shirt, (0.0, 1.05), tones=3, **look)
    neck = person.outline((-0.022, 0.875), (0.022, 0.875), (0.022, 0.82), (-0.022, 0.82))
    stage.paint(neck, torso, skin, (0.1, 0.6), **look)
    _head(stage, person, skin, hair)
    _arm(stage, person, 0.5, shirt, skin)
    skull = ellipse(x, y - 0.92 * h, 0.07 * h, 0.08 * h)
    stage.cast([chest, person.limb(0.49, 0.49, 0.13, 0.1), skull], y, torso)


def _leg(stage: Stage, person: _Person, offset: float, cloth: Colour, shoes: Colour) -> None:
    """A thigh that swings from the hip, and a shin that bends most as the leg comes forwards."""
    x, y, h, facing = person.x, person.y, person.height, person.facing
    phase = person.phase + offset
    thigh = stage.body(
        parent=person.torso, pivot=(x, y - 0.49 * h), swing=-0.42 * facing, rate=person.stride,
        phase=phase,
    )  # fmt: skip
    shin = stage.body(
        parent=thigh, pivot=(x, y - 0.25 * h), rest=0.34 * facing, swing=0.34 * facing,
        rate=person.stride, phase=phase + 0.25,
    )  # fmt: skip
    shoe = person.outline((-0.035, 0.04), (0.03, 0.04), (0.085, 0.015), (0.085, 0.0), (-0.04, 0.0))
    stage.paint(shoe, shin, shoes, (0.3, 0.9), **person.look)
    outline = stage.outline()
    for body, part in (
        (shin, person.limb(0.26, 0.2, 0.075, 0.055)),
        (thigh, person.limb(0.49, 0.24, 0.1, 0.08)),
    ):
        stage.paint(part, body, cloth, (0.2, 1.0), outline, **person.look)


def _arm(stage: Stage, person: _Person, offset: float, shirt: Colour, skin: Colour) -> None:
    """An arm that swings from the shoulder."""
    x, y, h = person.x, person.y, person.height
    arm = stage.body(
        parent=person.torso, pivot=(x, y - 0.8 * h), swing=-0.5 * person.facing,
        rate=person.stride, phase=person.phase + offset,
    )  # fmt: skip
    hand = ellipse(x, y - 0.44 * h, 0.026 * h, 0.032 * h, 10)
    stage.paint(hand, arm, skin, (0.4, 0.9), **person.look)
    sleeve = person.limb(0.78, 0.31, 0.068, 0.05)
    stage.paint(sleeve, arm, np.multiply(shirt, 0.92), (0.1, 1.0), **person.look)


def _head(stage: Stage, person: _Person, skin: Colour, hair: Colour) -> None:
    """Hair, face in profile with an eye, and the hair over the forehead."""
    h, facing, body, look = person.height, person.facing, person.torso, person.look
    x, y = person.x, person.y - 0.925 * h
    outline = stage.outline()
    if stage.rng.random() < 0.5:
        fall = person.outline((-0.085, 0.925), (-0.005, 0.925), (-0.03, 0.775), (-0.10, 0.785))
        stage.paint(fall, body, hair, (0.1, 0.9), outline, **look)
    back = ellipse(x - facing * 0.016 * h, y - 0.008 * h, 0.073 * h, 0.08 * h)
    stage.paint(back, body, hair, (0.1, 1.0), outline, **look)
    face = person.outline(
        (-0.01, 0.97), (0.052, 0.965), (0.06, 0.93), (0.072, 0.913), (0.058, 0.905),
        (0.052, 0.87), (0.025, 0.857), (-0.02, 0.885),
    )  # fmt: skip
    stage.paint(face, body, skin, (0.25, 1.0), **look)
    eye = ellipse(x + facing * 0.042 * h, y - 0.004 * h, 0.006 * h, 0.013 * h, 10)
    stage.paint(eye, body, (0.12, 0.11, 0.14), (0.5, 0.5), tones=1, **look)
    fringe = person.outline(
        (-0.05, 0.985), (0.02, 1.01), (0.062, 0.975), (0.05, 0.947), (0.02, 0.965), (-0.012, 0.913)
    )
    stage.paint(fringe, body, hair, (0.2, 1.1), outline, **look)


# Side views in metres: x forwards from the middle, y up from the ground.
_CAR = [
    (-2.1, 0.35), (-2.15, 0.8), (-1.8, 0.95), (-1.3, 1.0), (0.9, 0.98), (1.8, 0.85), (2.15, 0.65),
    (2.15, 0.35),
]  # fmt: skip
_CABIN = [(-1.5, 0.95), (-1.0, 1.42), (-0.6, 1.5), (0.3, 1.48), (1.15, 0.95)]
_CAR_PANES = [
    [(-1.2, 1.0), (-0.85, 1.35), (-0.3, 1.38), (-0.3, 1.0)],
    [(-0.18, 1.0), (-0.18, 1.38), (0.22, 1.36), (0.85, 1.0)],
]
_VAN = [
    (-2.6, 0.4), (-2.6, 2.35), (-2.4, 2.5), (1.3, 2.5), (1.6, 2.4), (2.2, 1.35), (2.7, 1.15),
    (2.75, 0.4),
]  # fmt: skip
_VAN_PANES = [[(0.7, 1.4), (0.7, 2.2), (1.4, 2.2), (1.9, 1.4)]]
_BUS = [(-4.8, 0.45), (-4.85, 2.8), (-4.6, 3.0), (4.5, 3.0), (4.8, 2.6), (4.9, 0.45)]
_BUS_PANES = [
    [(a, 1.5), (a, 2.5), (a + 1.25, 2.5), (a + 1.25, 1.5)] for a in np.arange(-4.5, 4.2, 1.5)
]


def vehicle(stage: Stage, x: float, y: float, facing: int) -> None:
    """A car, a van or a bus that drives along row y; its lights are on after dark."""
    rng, m = stage.rng, stage.metre(y)
    kind = rng.choice(("car", "van", "bus"), p=(0.7, 0.2, 0.1))
    outer, panes, axle = {
        "car": (_CAR, _CAR_PANES, 1.3),
        "van": (_VAN, _VAN_PANES, 1.7),
        "bus": (_BUS, _BUS_PANES, 3.0),
    }[kind]
    speed = facing * rng.uniform(2.5, 8.0) * m
    body = stage.body(parallax=y, pivot=(x, y), speed=speed, bob=0.012 * m, rate=1.3)
    paint = stage.choose(PAINTS)
    look: dict[str, Any] = {"haze": stage.air(y), "grain": 0.06}

    def placed(points):
        return _placed(x, y, facing * m, m, points)

    outline = stage.outline()
    if kind == "car":
        stage.paint(placed(_CABIN), body, paint, (0.3, 1.0), outline, **look)
    stage.paint(placed(outer), body, paint, (-0.1, 1.15), outline, tones=3, **look)
    lit = stage.light.lamps and kind == "bus"
    glass = (0.95, 0.86, 0.62) if lit else (0.40, 0.48, 0.54)
    stage.paint(
        [placed(p) for p in panes], body, glass, (0.2, 1.0), self_lit=lit, blotch=0.2, **look
    )
    long = outer[-1][0]
    sill = placed([(outer[0][0], 0.35), (outer[0][0], 0.55), (long, 0.55), (long, 0.35)])
    stage.paint(sill, body, (0.26, 0.27, 0.30), (0.4, 0.6), **look)
    on = stage.light.lamps
    for at, colour in ((long - 0.15, (1.0, 0.95, 0.78)), (outer[0][0] + 0.1, (0.85, 0.22, 0.18))):
        light = ellipse(x + facing * m * at, y - 0.72 * m, 0.14 * m, 0.1 * m, 10)
        stage.paint(light, body, colour, self_lit=on, glow=0.9 if on else 0.0, tones=1, **look)
    for at in (-axle, axle):
        cx, cy, r = x + facing * m * at, y - 0.34 * m, 0.34 * m
        wheel = stage.body(parent=body, pivot=(cx, cy), spin=speed / r)
        stage.paint(ellipse(cx, cy, r, r), wheel, (0.17, 0.17, 0.18), (0.4, 0.6), **look)
        hub = ellipse(cx, cy, 0.6 * r, 0.6 * r, 6)
        hub[::2] = 0.7 * hub[::2] + 0.3 * np.array([cx, cy])  # uneven, so that it is seen to turn
        stage.paint(hub, wheel, (0.62, 0.63, 0.65), (0.5, 0.9), **look)
    under = rectangle(x - 1.05 * abs(long) * m, y - 0.5 * m, x + 1.05 * abs(long) * m, y + 0.1 * m)
    stage.cast([placed(outer), under], y, body)


def boat(stage: Stage, x: float, y: float) -> None:
    """A rowing or sailing boat that rides the waves."""
    rng, m = stage.rng, stage.metre(y)
    facing = int(rng.choice((-1, 1)))
    body = stage.body(
        parallax=y,
        pivot=(x, y),
        speed=facing * rng.uniform(0.2, 0.8) * m,
        swing=0.03,
        bob=0.06 * m,
        rate=rng.uniform(0.2, 0.4),
        phase=rng.uniform(),
    )
    size, haze = rng.uniform(1.3, 2.5) * m, stage.air(y)

    def placed(*points):
        return _placed(x, y, facing * size, size, points)

    if rng.random() < 0.7:
        mast = placed((-0.03, 0.2), (-0.03, 2.6), (0.03, 2.6), (0.03, 0.2))
        stage.paint(mast, body, (0.46, 0.38, 0.32), haze=haze)
        cloth = stage.choose([(0.88, 0.86, 0.80), (0.80, 0.60, 0.44), (0.72, 0.40, 0.36)])
        for sail in (
            placed((0.08, 0.45), (0.1, 2.5), (0.5, 1.3), (1.1, 0.5)),
            placed((-0.08, 0.45), (-0.06, 2.2), (-0.8, 0.55)),
        ):
            stage.paint(sail, body, cloth, (0.1, 1.0), haze=haze)
    hull = placed((-1.1, 0.4), (1.25, 0.45), (0.85, -0.1), (-0.85, -0.1))
    stage.paint(hull, body, stage.choose(PAINTS), (0.0, 1.0), haze=haze, tones=3)
    band = placed((-1.1, 0.4), (1.25, 0.45), (1.18, 0.32), (-1.06, 0.28))
    stage.paint(band, body, (0.80, 0.77, 0.70), (0.4, 0.9), haze=haze)


def birds(stage: Stage) -> None:
    """A few birds; each wing is a rigid piece that beats."""
    rng = stage.rng
    speed = rng.uniform(0.05, 0.14) * rng.choice((-1, 1))
    x0, y0 = rng.uniform(-0.8, 0.8), rng.uniform(-0.45, -0.2)
    for _ in range(rng.integers(2, 6)):
        x, y = x0 + rng.uniform(-0.25, 0.25), y0 + rng.uniform(-0.08, 0.08)
        size, rate, phase = rng.uniform(0.018, 0.034), rng.uniform(1.5, 2.5), rng.uniform()
        body = stage.body(
            parallax=0.01, pivot=(x, y), speed=speed, bob=0.003, rate=rate, phase=phase
        )
        colour = (0.24, 0.24, 0.27)
        for side in (-1, 1):
            wing = stage.body(
                parent=body,
                pivot=(x, y),
                rest=-0.2 * side,
                swing=0.5 * side,
                rate=rate,
                phase=phase,
            )
            feather = polygon(
                (x, y - 0.1 * size),
                (x + side * 0.6 * size, y - 0.25 * size),
                (x + side * size, y),
                (x, y + 0.14 * size),
            )
            stage.paint(feather, wing, colour, (0.5, 0.5), outline=SKY_OUTLINE)
