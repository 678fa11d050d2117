"""What people built: blocks of flats, houses, street lamps, fences."""

from typing import Any

import numpy as np

from jaxstyle.data.scenes.colors import PAINTS
from jaxstyle.data.scenes.scenery import WIDE
from jaxstyle.data.scenes.stage import Stage, polygon, rectangle

WALLS = [
    (0.74, 0.68, 0.60),
    (0.66, 0.52, 0.44),
    (0.60, 0.62, 0.64),
    (0.76, 0.72, 0.68),
    (0.58, 0.44, 0.38),
    (0.56, 0.62, 0.66),
    (0.78, 0.70, 0.54),
    (0.62, 0.66, 0.58),
]
ROOFS = [(0.56, 0.34, 0.28), (0.44, 0.36, 0.36), (0.36, 0.42, 0.50), (0.52, 0.42, 0.32)]
WINDOW_LIGHT = (0.98, 0.84, 0.52)


def lamp(stage: Stage, x: float, y: float) -> None:
    """A street lamp, alight after dark."""
    m, body, haze = stage.metre(y), stage.body(parallax=y), stage.air(y)
    pole = rectangle(x - 0.06 * m, y - 5 * m, x + 0.06 * m, y)
    arm = rectangle(x - 0.06 * m, y - 5.1 * m, x + 1.1 * m, y - 4.95 * m)
    outline = stage.outline()
    for part in (pole, arm):
        stage.paint(part, body, (0.36, 0.38, 0.40), (0.3, 0.7), outline, haze=haze)
    on = stage.light.lamps
    stage.paint(
        polygon(
            (x + 0.6 * m, y - 4.95 * m),
            (x + 1.15 * m, y - 4.95 * m),
            (x + 1.25 * m, y - 4.7 * m),
            (x + 0.5 * m, y - 4.7 * m),
        ),
        body,
        (1.0, 0.92, 0.70) if on else (0.7, 0.7, 0.66),
        haze=0 if on else haze,
        self_lit=on,
        glow=0.9 if on else 0.0,
        tones=1,
    )
    stage.cast([pole, arm], y, stage.ground)


def _windows(
    stage: Stage,
    left: float,
    top: float,
    right: float,
    bottom: float,
    body: int,
    m: float,
    haze: float,
    outlined: bool,
) -> None:
    """A grid of windows on a wall; some are lit after dark."""
    rng = stage.rng
    columns = max(1, int((right - left) / (rng.uniform(2.0, 3.2) * m)))
    rows = max(1, int((bottom - top) / (rng.uniform(2.8, 3.6) * m)))
    wide, tall = (right - left) / columns, (bottom - top) / rows
    fill_x, fill_y = rng.uniform(0.18, 0.3), rng.uniform(0.18, 0.3)
    panes = [
        rectangle(
            left + (i + fill_x) * wide,
            top + (j + fill_y) * tall,
            left + (i + 1 - fill_x) * wide,
            top + (j + 1 - fill_y) * tall,
        )
        for j in range(rows)
        for i in range(columns)
    ]
    lit = rng.random(len(panes)) < (0.45 if stage.light.lamps else 0.0)
    outline = stage.outline() if outlined else stage.scene.shapes[-1].outline
    glass = stage.choose([(0.36, 0.44, 0.50), (0.42, 0.48, 0.50), (0.30, 0.36, 0.44)])
    dark = [pane for pane, on in zip(panes, lit, strict=True) if not on]
    alight = [pane for pane, on in zip(panes, lit, strict=True) if on]
    if dark:
        stage.paint(dark, body, glass, (0.35, 1.0), outline, haze=haze, grain=0.06, blotch=0.25)
    if alight:
        stage.paint(
            alight,
            body,
            stage.vary(WINDOW_LIGHT, 0.06),
            outline=outline,
            self_lit=True,
            haze=0.6 * haze,
            glow=0.35,
            tones=1,
            grain=0.05,
        )


def building(stage: Stage, left: float, right: float, y: float, metres: float) -> None:
    """A block of flats or shops, a lit front and a side, that stands at row y."""
    rng, m, haze = stage.rng, stage.metre(y), stage.air(y)
    body, top = stage.body(parallax=y), y - metres * stage.metre(y)
    wall = stage.choose(WALLS)
    near = y > 0.07
    # The side that faces the middle of the picture shows, narrowed by perspective.
    inner = 1 if (left + right) / 2 < 0 else -1
    depth = min(0.22 * abs(left + right) / 2 + 0.15 * m, 0.4 * (right - left))
    edge = right if inner > 0 else left
    side = polygon(
        (edge, top), (edge + inner * depth, top * 0.82), (edge + inner * depth, y), (edge, y)
    )
    outline = stage.outline()
    towards = inner * stage.light.direction[0] > 0
    look: dict[str, Any] = {"haze": haze, "grain": 0.09, "grain_size": (0.8, 0.8)}
    stage.paint(side, body, wall, (0.8, 0.95) if towards else (0.1, 0.3), **look)
    front = rectangle(left, top, right, y)
    stage.paint(front, body, wall, (0.1, 0.4) if towards else (0.6, 1.0), outline, **look)
    shop = near and metres > 7 and rng.random() < 0.7
    lower = y - (3.4 * m if shop else 0.6 * m)
    margin = 0.06 * (right - left)
    _windows(stage, left + margin, top + 0.8 * m, right - margin, lower, body, m, haze, near)
    cornice = rectangle(left - 0.15 * m, top - 0.35 * m, right + 0.15 * m, top + 0.3 * m)
    trim = stage.vary(np.multiply(wall, 0.82))
    stage.paint(cornice, body, trim, (0.5, 0.9), None if near else outline, haze=haze)
    if shop:
        glass = rectangle(left + margin, y - 2.5 * m, right - margin, y - 0.3 * m)
        on = stage.light.lamps
        stage.paint(
            glass,
            body,
            WINDOW_LIGHT if on else (0.42, 0.46, 0.48),
            (0.2, 1.0),
            haze=haze,
            self_lit=on,
            glow=0.3 if on else 0.0,
            blotch=0.2,
            unlit=(0.80, 0.60, 0.36) if on else None,
        )
        awning = polygon(
            (left, y - 3.3 * m),
            (right, y - 3.3 * m),
            (right + 0.2 * m, y - 2.4 * m),
            (left - 0.2 * m, y - 2.4 * m),
        )
        stage.paint(awning, body, stage.choose(PAINTS), (0.4, 0.9), haze=haze)
    stage.cast([front], y, stage.ground)


def house(stage: Stage, x: float, y: float) -> None:
    """A small house with a pitched roof, door and chimney."""
    rng, m, haze = stage.rng, stage.metre(y), stage.air(y)
    body = stage.body(parallax=y)
    half, wall_top = rng.uniform(3.5, 6) * m, y - rng.uniform(2.8, 5.2) * m
    rise, wall, roof = rng.uniform(1.8, 3.2) * m, stage.choose(WALLS), stage.choose(ROOFS)
    chimney_x = x + rng.uniform(-0.5, 0.4) * half
    chimney = rectangle(chimney_x, wall_top - rise - 0.6 * m, chimney_x + 0.8 * m, wall_top)
    stage.paint(chimney, body, (0.52, 0.38, 0.34), (0.3, 0.9), haze=haze)
    front = rectangle(x - half, wall_top, x + half, y)
    stage.paint(front, body, wall, (0.35, 1.0), haze=haze, grain=0.1)
    _windows(stage, x - half, wall_top, x + half, y - 0.5 * m, body, m, haze, outlined=y > 0.08)
    door_x = x + rng.uniform(-0.5, 0.3) * half
    door = rectangle(door_x, y - 2.1 * m, door_x + 1.1 * m, y)
    stage.paint(door, body, stage.choose(PAINTS), (0.4, 0.8), haze=haze)
    eaves = polygon(
        (x - 0.78 * half, wall_top - rise),
        (x + 0.78 * half, wall_top - rise),
        (x + half + 0.5 * m, wall_top + 0.25 * m),
        (x - half - 0.5 * m, wall_top + 0.25 * m),
    )
    stage.paint(eaves, body, roof, (0.3, 1.0), haze=haze, grain=0.16, grain_size=(1.0, 0.25))
    stage.cast([front, eaves], y, stage.ground)


def fence(stage: Stage, y: float) -> None:
    """A wooden fence along row y."""
    m, body, haze = stage.metre(y), stage.body(parallax=y), stage.air(y)
    wood, outline = stage.vary((0.62, 0.52, 0.42)), stage.outline()
    posts = [rectangle(x, y - 1.2 * m, x + 0.18 * m, y) for x in np.arange(-1.7, 1.7, 1.8 * m)]
    rails = [rectangle(-WIDE, y - h * m, WIDE, y - (h - 0.14) * m) for h in (1.0, 0.55)]
    for part in (rails, posts):
        stage.paint(part, body, wood, (0.4, 0.9), outline, haze=haze, grain=0.25)
    stage.cast(posts, y, stage.ground)
