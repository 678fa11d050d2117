"""The land: sky, clouds, mountains, the ground and what lies on it, trees, water."""

from dataclasses import replace
from typing import Any

import numpy as np

from jaxstyle.data.scenes.colors import Colour
from jaxstyle.data.scenes.geometry import NO_INK, SKY_OUTLINE
from jaxstyle.data.scenes.stage import Stage, blob, ellipse, polygon, rectangle

WIDE = 3.0  # half the width of things that must reach beyond every picture's sides

FOLIAGE = [(0.42, 0.50, 0.26), (0.34, 0.46, 0.28), (0.52, 0.54, 0.28), (0.30, 0.42, 0.24)]
AUTUMN = [(0.68, 0.46, 0.24), (0.64, 0.36, 0.24), (0.66, 0.54, 0.28), (0.46, 0.46, 0.26)]
BLOSSOM = [(0.80, 0.62, 0.66), (0.76, 0.56, 0.62), (0.42, 0.50, 0.28)]


def sky(stage: Stage) -> None:
    """Sky from zenith to horizon, with the sun or the moon, and stars at night."""
    light, rng = stage.light, stage.rng
    stage.paint(
        rectangle(-WIDE, -1.2, WIDE, 0.3),
        stage.sky,
        light.horizon,
        (-0.15, 1.35),
        SKY_OUTLINE,
        (0.0, 1.0),
        light.zenith,
        self_lit=True,
        tones=int(rng.integers(4, 7)),
        grain=0.015,
        blotch=0.05,
    )
    if light.name == "night":
        stars = rng.uniform((-1.3, -0.8), (1.3, -0.05), (70, 2))
        sizes = rng.uniform(0.0015, 0.0035, 70)
        stage.paint(
            [ellipse(x, y, r, r, 5) for (x, y), r in zip(stars, sizes, strict=True)],
            stage.sky,
            (0.85, 0.87, 0.92),
            outline=SKY_OUTLINE,
            self_lit=True,
            grain=0.0,
            tones=1,
        )
    if light.name == "overcast":
        return
    low = light.name in ("golden", "dusk")
    x = light.direction[0] * rng.uniform(0.5, 0.9)
    y = rng.uniform(-0.22, -0.10) if low else rng.uniform(-0.42, -0.26)
    radius = rng.uniform(0.035, 0.06) * (1.3 if low else 1.0)
    colour = {"night": (0.93, 0.93, 0.86), "golden": (1.0, 0.93, 0.70), "dusk": (1.0, 0.72, 0.48)}
    stage.paint(
        ellipse(x, y, radius, radius, 40),
        stage.sky,
        colour.get(light.name, (1.0, 0.98, 0.90)),
        outline=SKY_OUTLINE,
        self_lit=True,
        tones=1,
        grain=0.02,
        glow=0.7,
    )


def clouds(stage: Stage) -> None:
    """Drifting heaps of puffs; each heap moves as one."""
    light, rng = stage.light, stage.rng
    bright = np.array(light.sun) + light.ambient
    white = np.clip(0.35 * np.array(light.horizon) + 0.65 * np.minimum(bright, 1.0), 0, 1)
    shade = 0.3 * np.array(light.zenith) + 0.7 * white * (0.82, 0.82, 0.87)
    wind = rng.uniform(0.004, 0.02) * rng.choice((-1, 1))
    for _ in range(rng.integers(2, 8)):
        x, y = rng.uniform(-1.5, 1.5), rng.uniform(-0.55, -0.10)
        size = rng.uniform(0.05, 0.13) * (0.6 - y)
        body = stage.body(parallax=0.004, pivot=(x, y), speed=wind)
        for step in np.linspace(-1, 1, rng.integers(4, 8)):
            radius = size * (1.15 - 0.6 * abs(step)) * rng.uniform(0.8, 1.2)
            puff = blob(rng, x + 2.4 * size * step, y - 0.45 * radius, 1.25 * radius, radius, 7)
            # A flat base: everything below it folds up.
            puff[:, 1] = np.minimum(puff[:, 1], y + 0.1 * size)
            stage.paint(
                puff,
                body,
                tuple(white),
                (0.05, 1.0),
                SKY_OUTLINE,  # no ink between clouds and sky
                unlit=tuple(shade),
                self_lit=True,
                blotch=0.18,
                grain=0.05,
                haze=0.05,
            )


def ridge(rng: np.random.Generator, height: float, rough: float, corners: int) -> np.ndarray:
    """A random sky line, float64 [corners, 2], x from -WIDE to WIDE, y <= 0."""
    x = np.linspace(-WIDE, WIDE, corners)
    y = np.zeros(corners)
    for octave in range(5):
        wave = rng.uniform(0.8, 1.3) * 2**octave
        y += rough**octave * np.sin(wave * x * 1.6 + rng.uniform(0, 6.3))
    y = (y - y.min()) / np.ptp(y)
    return np.stack([x, -height * (0.15 + 0.85 * y)], -1)


def mountains(stage: Stage, colour: Colour, height: float, y: float, snow: bool) -> None:
    """A range at row y of the ground, with snow above a line if asked."""
    rng = stage.rng
    top = ridge(rng, height, 0.55, 160)
    base = polygon((WIDE, y + 0.01), (-WIDE, y + 0.01))
    body, outline = stage.body(parallax=y), stage.outline()
    look: dict[str, Any] = {"haze": stage.air(y), "grain_size": (0.9, 0.6)}
    stage.paint(
        np.concatenate([top, base]),
        body,
        colour,
        (0.15, 0.85),
        outline,
        blotch=0.55,
        grain=0.14,
        tones=3,
        **look,
    )
    if snow:
        line = -0.60 * height + 0.05 * height * np.sin(35 * top[:, 0]) * np.cos(13 * top[:, 0])
        cap = np.concatenate([top, np.stack([top[:, 0], np.maximum(line, top[:, 1])], -1)[::-1]])
        stage.paint(cap, body, (0.86, 0.87, 0.90), (0.3, 0.9), outline, blotch=0.5, **look)


def hills(stage: Stage, colour: Colour, height: float, y: float) -> None:
    """Smooth hills at row y."""
    top = ridge(stage.rng, height, 0.28, 100)
    top[:, 1] += y
    base = polygon((WIDE, y + 0.03), (-WIDE, y + 0.03))
    stage.paint(
        np.concatenate([top, base]),
        stage.body(parallax=y),
        colour,
        (0.25, 0.95),
        haze=stage.air(y),
        blotch=0.45,
        grain=0.11,
        grain_size=(0.7, 0.5),
    )


def ground(stage: Stage, top: float, bottom: float, colour: Colour, **look: Any) -> None:
    """A strip of the ground plane between two rows, across the picture."""
    look = {"grain": 0.12, "grain_size": (1.2, 0.45), "blotch": 0.28, "tones": 2, **look}
    stage.paint(
        # Rows near the camera shift most, so the strip widens towards it.
        polygon((-WIDE, top), (WIDE, top), (2 * WIDE, bottom), (-2 * WIDE, bottom)),
        stage.ground,
        colour,
        (0.72, 0.95),
        along=(0.0, 1.0),
        ground=True,
        haze=stage.air(top),
        **look,
    )


def tufts(stage: Stage, top: float, bottom: float, colour: Colour, count: int) -> None:
    """Small clumps of grass, flowers or pebbles strewn over the ground between two rows."""
    rng = stage.rng
    clumps = []
    for _ in range(count):
        y = top + (bottom - top) * rng.uniform() ** 1.5
        x, size = rng.uniform(-1.5, 1.5), rng.uniform(0.025, 0.07) * y
        blades = np.linspace(-1, 1, 7)
        edge = np.stack([x + size * blades, y - size * 1.3 * (np.arange(7) % 2)], -1)
        clumps.append(
            np.concatenate(
                [edge, polygon((x + 0.6 * size, y + 0.3 * size), (x - 0.6 * size, y + 0.3 * size))]
            )
        )
    stage.paint(clumps, stage.ground, colour, (0.5, 0.9), NO_INK, grain=0.1, ground=True)


def paving(stage: Stage, top: float, bottom: float, colour: Colour | np.ndarray) -> None:
    """Joints between the slabs of a pavement, towards the vanishing point and across."""
    rng = stage.rng
    slab = rng.uniform(0.35, 0.7)
    joints = [
        polygon(
            (x * top, top),
            ((x + 0.02) * top, top),
            ((x + 0.02) * bottom, bottom),
            (x * bottom, bottom),
        )
        for x in np.arange(-14, 14, slab)
    ]
    # Equal slabs on the ground: their rows are spaced equally in distance, which is 1 / y.
    distances = np.arange(1 / bottom, 1 / top, 1.2 * slab)
    rows = [rectangle(-2 * WIDE, 1 / d, 2 * WIDE, 1 / d + 0.012 / d) for d in distances]
    for part in (joints, rows):
        stage.paint(part, stage.ground, colour, (0.6, 0.9), NO_INK, ground=True)


def floor_patch(
    stage: Stage, corners: list[tuple[float, float]], colour: Colour, **look: Any
) -> None:
    """A patch of the ground plane. corners: (X, row): X in camera heights, so x = X * row."""
    points = polygon(*[(x * y, y) for x, y in corners])
    look = {"grain": 0.14, "light": (0.8, 0.8), "ground": True, **look}
    stage.paint(points, stage.ground, colour, haze=stage.air(corners[0][1]), **look)


def tree(stage: Stage, x: float, y: float, metres: float, colours: list[Colour]) -> None:
    """A broad-leaved tree whose crown sways."""
    rng, height = stage.rng, metres * stage.metre(y)
    colour = stage.choose(colours)
    sway = stage.body(
        parallax=y,
        pivot=(x, y),
        swing=rng.uniform(0.004, 0.012),
        rate=rng.uniform(0.2, 0.4),
        phase=rng.uniform(),
    )
    haze, trunk = stage.air(y), 0.05 * height
    stem = polygon(
        (x - 0.6 * trunk, y - 0.55 * height),
        (x + 0.6 * trunk, y - 0.55 * height),
        (x + trunk, y),
        (x - trunk, y),
    )
    stage.paint(stem, sway, stage.vary((0.40, 0.32, 0.27)), (0.2, 0.9), haze=haze, grain=0.25)
    crown, outline = [], stage.outline()
    for _ in range(rng.integers(3, 6)):
        radius = height * rng.uniform(0.18, 0.27)
        cx, cy = x + height * rng.uniform(-0.2, 0.2), y - height * rng.uniform(0.5, 0.78)
        crown.append(blob(rng, cx, cy, radius * 1.1, radius))
    for leaf in sorted(crown, key=lambda c: c[:, 1].mean()):
        stage.paint(
            leaf,
            sway,
            colour,
            (0.0, 1.05),
            outline,
            haze=haze,
            tones=3,
            blotch=0.4,
            grain=0.22,
            grain_size=(0.6, 0.6),
        )
    stage.cast([stem, *crown], y, stage.ground)


def pine(stage: Stage, x: float, y: float, metres: float, colours: list[Colour]) -> None:
    """A conifer of stacked tiers."""
    rng, height = stage.rng, metres * stage.metre(y)
    colour = stage.vary(np.multiply(stage.choose(colours[-1:]), (0.75, 0.9, 0.95)))
    body, haze = stage.body(parallax=y), stage.air(y)
    half, outline = height * rng.uniform(0.17, 0.24), stage.outline()
    stem = rectangle(x - 0.03 * height, y - 0.2 * height, x + 0.03 * height, y)
    stage.paint(stem, body, (0.36, 0.29, 0.25), (0.2, 0.8), haze=haze)
    tiers = []
    for k in range(4):
        low, high = y - height * (0.12 + 0.2 * k), y - height * (0.46 + 0.18 * k)
        wide = half * (1 - 0.22 * k)
        teeth = np.linspace(-1, 1, 9)
        edge = np.stack([x + wide * teeth, low + 0.03 * height * (np.arange(9) % 2)], -1)
        tiers.append(np.concatenate([edge, polygon((x + 0.01, high), (x - 0.01, high))]))
        stage.paint(
            tiers[-1],
            body,
            colour,
            (0.0, 1.0),
            outline,
            haze=haze,
            blotch=0.3,
            grain=0.22,
            grain_size=(0.5, 0.7),
            tones=2,
        )
    stage.cast([stem, *tiers], y, stage.ground)


def water(stage: Stage, top: float, bottom: float) -> Colour:
    """Open water between two rows. Returns its colour, which tints reflections."""
    light = stage.light
    colour = tuple(
        0.55 * np.array(light.zenith) + 0.25 * np.array(light.horizon) + (0.0, 0.03, 0.04)
    )
    far = tuple(0.25 * np.array(colour) + 0.75 * np.array(light.horizon))
    stage.paint(
        rectangle(-WIDE, top, WIDE, bottom),
        stage.ground,
        far,
        (1.0, 0.0),
        along=(0.0, 1.0),
        unlit=colour,
        self_lit=True,
        tones=4,
        blotch=0.3,
        grain=0.14,
        grain_size=(2.0, 0.3),
    )
    return colour


def reflect(stage: Stage, first: int, shore: float, tint: Colour, stop: int | None = None) -> None:
    """Mirrors the shapes number `first` to `stop` (the last if None) in the water below `shore`.

    Their bodies must have no parents. What lies on the ground is not mirrored.
    """
    outlines, bodies = {NO_INK: NO_INK}, {}
    for shape in stage.scene.shapes[first:stop]:
        if shape.ground:
            continue
        if shape.outline not in outlines:
            outlines[shape.outline] = stage.outline()
        if shape.body not in bodies:
            bodies[shape.body] = _mirrored_body(stage, shape.body, shore)
        a, b, c = shape.shading
        mirrored = replace(
            shape,
            contours=[k * (1, -1) + (0, 2 * shore) for k in shape.contours],
            body=bodies[shape.body],
            outline=outlines[shape.outline],
            shading=(a, -b, c + 2 * b * shore),
            grain=0.16,
            grain_size=(2.0, 0.25),
            blotch=max(shape.blotch, 0.2),
            glow=0.4 * shape.glow,
            lit=_mix(shape.lit, tint, 0.4),
            unlit=_mix(shape.unlit, tint, 0.4),
        )
        stage.scene.shapes.append(mirrored)


def _mirrored_body(stage: Stage, number: int, shore: float) -> int:
    """A body that moves as the mirror image of another: it turns and bobs the other way."""
    body = stage.scene.bodies[number]
    assert body.parent < 0, "the reflection of a jointed figure needs a mirrored parent"
    x, y = body.pivot
    stage.scene.bodies.append(
        replace(
            body,
            pivot=(x, 2 * shore - y),
            rest=-body.rest,
            swing=-body.swing,
            spin=-body.spin,
            bob=-body.bob,
        )
    )
    return len(stage.scene.bodies) - 1


def _mix(a: Colour, b: Colour, part: float) -> Colour:
    return tuple((1 - part) * np.array(a) + part * np.array(b))


def glints(stage: Stage, top: float, bottom: float) -> None:
    """Bright ripples that drift over the water, each a rigid piece."""
    rng, light = stage.rng, stage.light
    colour = tuple(np.clip(0.5 * np.array(light.horizon) + 0.55 * np.array(light.sun), 0, 1))
    for _ in range(26):
        y = top + (bottom - top) * rng.uniform(0.04, 1) ** 1.4
        x, half = rng.uniform(-1.4, 1.4), 0.02 + 0.12 * y * rng.uniform(0.4, 1.2)
        body = stage.body(
            parallax=y,
            pivot=(x, y),
            speed=rng.uniform(-0.02, 0.02),
            bob=0.1 * half,
            rate=rng.uniform(0.3, 0.8),
            phase=rng.uniform(),
        )
        stage.paint(
            ellipse(x, y, half, 0.05 * half + 0.0015, 12),
            body,
            colour,
            self_lit=True,
            tones=1,
            outline=NO_INK,
            haze=0.1,
            grain=0.1,
        )
