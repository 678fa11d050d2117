"""Composes a scene from a seed: the place, the light, the camera and who passes by."""

from collections.abc import Callable
from functools import partial

import numpy as np

from jaxstyle.data.scenes import actors, buildings, scenery
from jaxstyle.data.scenes.colors import Colour, draw_light
from jaxstyle.data.scenes.geometry import PATH, Camera, Scene
from jaxstyle.data.scenes.stage import Stage

BOTTOM = 1.1  # the ground row beyond the lower edge of every picture

PAVED = (0.60, 0.56, 0.52)

Placed = list[tuple[float, Callable[[], None]]]


def draw_scene(rng: np.random.Generator) -> Scene:
    """A random scene: a street, the country, a lake or the sea, at some time of day."""
    camera = Camera(
        horizon=rng.uniform(0.36, 0.56),
        travel=(rng.uniform(0.1, 0.45), rng.uniform(14, 24), rng.uniform()),
        pan=(rng.uniform(0.0, 0.12), rng.uniform(10, 18), rng.uniform()),
        zoom=(rng.uniform(0.0, 0.09), rng.uniform(9, 16), rng.uniform()),
        shake=rng.uniform(0.0, 0.003),
    )
    stage = Stage(Scene(camera, draw_light(rng)), rng, camera_height=rng.uniform(1.7, 5.5))
    scenery.sky(stage)
    scenery.clouds(stage)
    if rng.random() < 0.4:
        actors.birds(stage)
    compose = (_street, _country, _lake, _sea)[rng.choice(4, p=(0.36, 0.28, 0.22, 0.14))]
    compose(stage)
    return stage.scene


def _foliage(rng: np.random.Generator) -> list[Colour]:
    return (scenery.FOLIAGE, scenery.AUTUMN, scenery.BLOSSOM)[rng.choice(3, p=(0.6, 0.22, 0.18))]


def _paint_in_order(things: Placed) -> None:
    """Far rows first, so that near things cover them."""
    for _, paint in sorted(things, key=lambda thing: thing[0]):
        paint()


def _trees(
    stage: Stage,
    rows: tuple[float, float],
    count: int,
    colours: list[Colour],
    metres: tuple[float, float] = (4.0, 9.0),
) -> Placed:
    """Trees and conifers at random places between two rows."""
    rng = stage.rng
    things: Placed = []
    conifers = rng.random()
    for _ in range(count):
        y, x = rng.uniform(*rows), rng.uniform(-1.3, 1.3)
        kind = scenery.pine if rng.random() < 0.7 * conifers else scenery.tree
        size = rng.uniform(*metres)
        things.append((y, partial(kind, stage, x, y, size, colours)))
    return things


def _walkers(stage: Stage, rows: tuple[float, float], count: int) -> Placed:
    places = stage.rng.uniform((rows[0], -1.2), (rows[1], 1.2), (count, 2))
    return [(y, partial(actors.walker, stage, x, y)) for y, x in places]


def _traffic(stage: Stage, lanes: tuple[float, ...], count: int) -> Placed:
    """Vehicles in lanes: each row drives its own way, spaced so that they do not overlap."""
    rng = stage.rng
    things: Placed = []
    for lane, y in enumerate(lanes):
        gap = PATH / count
        for k in range(count):
            x = -PATH / 2 + gap * (k + rng.uniform(0.1, 0.5))
            facing = 1 if lane % 2 else -1
            things.append((y, partial(actors.vehicle, stage, x, y, facing)))
    return things


def _skyline(stage: Stage, y: float, metres: tuple[float, float]) -> None:
    """A row of buildings across the picture at row y."""
    rng, m, x = stage.rng, stage.metre(y), -2.0
    while x < 2.0:
        width = rng.uniform(7, 18) * m
        buildings.building(stage, x, x + width, y, rng.uniform(*metres))
        x += width + rng.choice((0.0, 0.3, 2.5)) * m


def _street(stage: Stage) -> None:
    rng = stage.rng
    colours = _foliage(rng)
    if rng.random() < 0.5:
        scenery.hills(stage, (0.44, 0.50, 0.46), rng.uniform(0.06, 0.16), 0.012)
    scenery.ground(stage, 0.0, BOTTOM, stage.vary((0.56, 0.55, 0.53)))
    _skyline(stage, rng.uniform(0.02, 0.035), (12, 45))
    front = rng.uniform(0.075, 0.12)
    _skyline(stage, front, (4, 11) if rng.random() < 0.6 else (7, 18))
    kerb = front + rng.uniform(0.035, 0.06)
    far_edge = kerb + rng.uniform(0.15, 0.26)
    scenery.ground(stage, front, kerb, stage.vary((0.66, 0.62, 0.58)))
    scenery.ground(stage, kerb, far_edge, stage.vary((0.36, 0.36, 0.38)), blotch=0.15)
    _road_marks(stage, kerb, far_edge)
    scenery.ground(stage, far_edge, far_edge + 0.018, stage.vary((0.72, 0.70, 0.66)), blotch=0.0)
    near = PAVED if rng.random() < 0.6 else (0.46, 0.50, 0.34)
    scenery.ground(stage, far_edge + 0.018, BOTTOM, stage.vary(near))
    if near == PAVED:
        scenery.paving(stage, far_edge + 0.018, BOTTOM, np.multiply(near, 0.75))
    else:
        scenery.tufts(stage, far_edge + 0.03, BOTTOM, stage.choose(colours), 70)
    lanes = (0.62 * kerb + 0.38 * far_edge, far_edge - 0.02)
    things = _traffic(stage, lanes, int(rng.integers(1, 4)))
    things += _walkers(stage, (front + 0.01, kerb - 0.005), int(rng.integers(1, 5)))
    things += _walkers(stage, (far_edge + 0.03, 0.5), int(rng.integers(2, 5)))
    things += _trees(stage, (kerb - 0.012, kerb - 0.008), int(rng.integers(0, 6)), colours, (4, 7))
    things += _trees(stage, (far_edge + 0.04, 0.5), int(rng.integers(0, 2)), colours, (4, 6))
    step = rng.uniform(0.6, 1.0)
    things += [
        (kerb - 0.004, partial(buildings.lamp, stage, x, kerb - 0.004))
        for x in np.arange(-1.4, 1.4, step)
    ]
    _paint_in_order(things)


def _road_marks(stage: Stage, top: float, bottom: float) -> None:
    """A dashed line along the middle of the road between two rows, and perhaps a zebra crossing."""
    rng, middle, white = stage.rng, (top + bottom) / 2, (0.81, 0.79, 0.75)

    def mark(left, right, upper, lower):
        corners = [(left, upper), (right, upper), (right, lower), (left, lower)]
        scenery.floor_patch(stage, corners, white)

    for x in np.arange(-14, 14, 2.2):
        mark(x, x + 1.1, middle - 0.006, middle + 0.006)
    if rng.random() < 0.5:
        left = rng.uniform(-1.5, 1.0)
        for k in range(5):
            mark(left + 0.42 * k, left + 0.42 * k + 0.22, top + 0.01, bottom - 0.01)


def _country(stage: Stage) -> None:
    rng = stage.rng
    colours = _foliage(rng)
    winter = rng.random() < 0.15
    grass = (
        (0.82, 0.84, 0.87)
        if winter
        else stage.choose([(0.50, 0.54, 0.30), (0.60, 0.58, 0.34), (0.44, 0.52, 0.32)])
    )
    rock = stage.choose([(0.46, 0.46, 0.50), (0.50, 0.45, 0.42), (0.40, 0.46, 0.46)])
    if rng.random() < 0.7:
        scenery.mountains(stage, rock, rng.uniform(0.14, 0.38), 0.006, snow=rng.random() < 0.55)
    for y in (0.012, 0.03):
        scenery.hills(stage, stage.vary(np.multiply(grass, 0.9)), rng.uniform(0.05, 0.14), y)
    scenery.ground(stage, 0.03, BOTTOM, grass, blotch=0.35)
    for _ in range(rng.integers(0, 5)):
        a, y = rng.uniform(-5, 4), rng.uniform(0.05, 0.14)
        b = a + rng.uniform(2, 5)
        field = stage.choose([(0.66, 0.60, 0.34), (0.46, 0.50, 0.28), (0.56, 0.46, 0.34)])
        corners = [(a, y), (b, y), (b * 0.9, y * 1.5), (a * 0.9, y * 1.5)]
        scenery.floor_patch(
            stage, corners, field if not winter else grass, grain=0.18, grain_size=(0.3, 1.2)
        )
    scenery.tufts(stage, 0.1, BOTTOM, stage.vary(np.multiply(grass, 0.8)), 120)
    if not winter:
        petals = stage.choose([(0.84, 0.80, 0.74), (0.82, 0.68, 0.36), (0.74, 0.48, 0.58)])
        scenery.tufts(stage, 0.1, BOTTOM, petals, 60)
    aim, half = rng.uniform(-0.6, 0.6), rng.uniform(0.25, 0.5)
    scenery.floor_patch(
        stage,
        [(aim - half, 0.04), (aim + half, 0.04), (aim + half, BOTTOM), (aim - half, BOTTOM)],
        stage.vary((0.66, 0.58, 0.46)),
        grain=0.15,
        blotch=0.2,
    )
    things = _trees(stage, (0.05, 0.16), int(rng.integers(5, 14)), colours)
    things += _trees(stage, (0.2, 0.5), int(rng.integers(1, 4)), colours, (3, 6))
    for _ in range(rng.integers(1, 5)):
        y, x = rng.uniform(0.06, 0.16), rng.uniform(-1.2, 1.2)
        things.append((y, partial(buildings.house, stage, x, y)))
    if rng.random() < 0.5:
        y = rng.uniform(0.2, 0.4)
        things.append((y, lambda: buildings.fence(stage, y)))
    if rng.random() < 0.5:
        road = rng.uniform(0.17, 0.24)
        scenery.ground(stage, road, road * 1.35, stage.vary((0.42, 0.41, 0.42)), blotch=0.1)
        things += _traffic(stage, (road * 1.12, road * 1.28), int(rng.integers(1, 3)))
    things += _walkers(stage, (0.18, 0.55), int(rng.integers(2, 5)))
    _paint_in_order(things)


def _lake(stage: Stage) -> None:
    rng = stage.rng
    colours = _foliage(rng)
    first = len(stage.scene.shapes)
    rock = stage.choose([(0.44, 0.46, 0.52), (0.42, 0.46, 0.44)])
    scenery.mountains(stage, rock, rng.uniform(0.16, 0.36), 0.006, snow=rng.random() < 0.6)
    shore, near = rng.uniform(0.05, 0.075), rng.uniform(0.3, 0.45)
    stop = len(stage.scene.shapes)
    tint = scenery.water(stage, 0.0, BOTTOM)
    scenery.reflect(stage, first, 0.0, tint, stop)
    bank = len(stage.scene.shapes)
    scenery.hills(stage, stage.choose(colours), rng.uniform(0.03, 0.09), shore - 0.02)
    scenery.ground(stage, shore - 0.02, shore, stage.vary((0.50, 0.50, 0.38)))
    if rng.random() < 0.45:
        _skyline(stage, shore - 0.004, (4, 13))
    else:
        things = _trees(
            stage, (shore - 0.015, shore - 0.002), int(rng.integers(8, 18)), colours, (6, 12)
        )
        for _ in range(rng.integers(0, 4)):
            x = rng.uniform(-1.2, 1.2)
            things.append((shore - 0.006, partial(buildings.house, stage, x, shore - 0.006)))
        _paint_in_order(things)
    scenery.reflect(stage, bank, shore, tint)
    scenery.glints(stage, shore, near)
    for y in sorted(rng.uniform(shore + 0.03, near - 0.1, rng.integers(0, 4))):
        afloat = len(stage.scene.shapes)
        actors.boat(stage, rng.uniform(-1.0, 1.0), y)
        scenery.reflect(stage, afloat, y, tint)
    earth = stage.choose([(0.48, 0.52, 0.32), (0.66, 0.60, 0.48)])
    scenery.ground(stage, near, BOTTOM, earth)
    scenery.tufts(stage, near + 0.005, BOTTOM, stage.choose(colours), 80)
    things = _walkers(stage, (near + 0.02, 0.58), int(rng.integers(2, 5)))
    things += _trees(stage, (near + 0.02, 0.6), int(rng.integers(0, 3)), colours, (3, 6))
    _paint_in_order(things)


def _sea(stage: Stage) -> None:
    rng = stage.rng
    beach = rng.uniform(0.18, 0.34)
    if rng.random() < 0.5:
        scenery.mountains(stage, (0.44, 0.48, 0.50), rng.uniform(0.04, 0.12), 0.008, snow=False)
    scenery.water(stage, 0.0, BOTTOM)
    scenery.glints(stage, 0.01, beach)
    for y in sorted(rng.uniform(0.03, beach - 0.06, rng.integers(1, 6))):
        actors.boat(stage, rng.uniform(-1.1, 1.1), y)
    scenery.ground(stage, beach, beach + 0.02, (0.86, 0.87, 0.86), blotch=0.3)
    scenery.ground(stage, beach + 0.02, BOTTOM, stage.vary((0.78, 0.70, 0.54)), blotch=0.3)
    scenery.tufts(stage, beach + 0.03, BOTTOM, (0.62, 0.54, 0.44), 60)
    things = _walkers(stage, (beach + 0.03, 0.65), int(rng.integers(2, 6)))
    things += _trees(stage, (beach + 0.06, 0.5), int(rng.integers(0, 4)), _foliage(rng), (3, 6))
    if rng.random() < 0.4:
        y = beach + rng.uniform(0.06, 0.2)
        things.append((y, lambda: buildings.fence(stage, y)))
    _paint_in_order(things)
