"""Light, and the one smooth map from the colours of the photo to those of the cel."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

# Base colours of painted things: vehicles, clothes, doors, awnings.
PAINTS = [
    (0.66, 0.28, 0.26),
    (0.30, 0.42, 0.60),
    (0.72, 0.62, 0.32),
    (0.34, 0.50, 0.42),
    (0.78, 0.76, 0.72),
    (0.42, 0.40, 0.44),
    (0.70, 0.46, 0.30),
    (0.52, 0.40, 0.56),
]

_LUMA = np.array([0.299, 0.587, 0.114])
# A turn of the hue around grey: blue skies go towards cyan, skin and brick towards rose.
_HUE_TURN = np.deg2rad(-14.0)


@dataclass(frozen=True)
class Light:
    """The light of a time of day. Colours are RGB in [0, 1]; `sun` and `ambient` multiply.

    direction: unit vector from the scene towards the sun, in picture coordinates (y down).
    lamps: True when it is dark enough to switch lights on.
    exposure, balance: how the camera renders it, photo only.
    """

    name: str
    zenith: Colour
    horizon: Colour
    sun: Colour
    ambient: Colour
    direction: tuple[float, float]
    lamps: bool
    haze: float
    exposure: float
    balance: Colour


_TIMES: dict[str, tuple[Colour, Colour, Colour, Colour, bool]] = {
    # zenith, horizon, sun, ambient, lamps
    "morning": (
        (0.40, 0.53, 0.68),
        (0.82, 0.80, 0.74),
        (0.60, 0.54, 0.44),
        (0.40, 0.43, 0.50),
        False,
    ),
    "noon": ((0.28, 0.45, 0.68), (0.66, 0.76, 0.84), (0.62, 0.60, 0.54), (0.38, 0.42, 0.48), False),
    "overcast": (
        (0.56, 0.60, 0.65),
        (0.76, 0.78, 0.79),
        (0.22, 0.22, 0.23),
        (0.56, 0.58, 0.61),
        False,
    ),
    "golden": (
        (0.42, 0.48, 0.60),
        (0.88, 0.76, 0.60),
        (0.66, 0.53, 0.38),
        (0.38, 0.39, 0.45),
        False,
    ),
    "dusk": ((0.24, 0.26, 0.44), (0.80, 0.56, 0.50), (0.38, 0.27, 0.24), (0.32, 0.31, 0.40), True),
    "night": ((0.04, 0.06, 0.14), (0.14, 0.18, 0.30), (0.20, 0.23, 0.30), (0.20, 0.23, 0.33), True),
}
_CHANCES = (0.20, 0.30, 0.12, 0.16, 0.12, 0.10)


def as_colour(channels: Colour | np.ndarray) -> Colour:
    """Three channels, such as a float [3], as a `Colour`."""
    red, green, blue = channels
    return red, green, blue


def draw_light(rng: np.random.Generator) -> Light:
    """A random time of day and weather."""
    name = str(rng.choice(list(_TIMES), p=_CHANCES))
    zenith, horizon, sun, ambient, lamps = _TIMES[name]

    def vary(colour: Colour) -> Colour:
        return as_colour(np.clip(np.multiply(colour, rng.uniform(0.96, 1.04, 3)), 0, 1))

    side = rng.uniform(0.35, 0.9) * rng.choice((-1, 1))
    return Light(
        name=name,
        zenith=vary(zenith),
        horizon=vary(horizon),
        sun=vary(sun),
        ambient=vary(ambient),
        direction=(side, -float(np.sqrt(1 - side**2))),
        lamps=lamps,
        haze=rng.uniform(0.4, 1.5),
        exposure=rng.uniform(0.98, 1.2),
        balance=as_colour(rng.uniform(0.95, 1.05, 3)),
    )


def cel_colour(photo: np.ndarray) -> np.ndarray:
    """The cel's colour for a photo's colour: lighter, up to 2.2 times as saturated, the hue turned.

    photo: RGB in [0, 1], [..., 3]; any float dtype. Returns the same shape, in [0, 1]. Smooth and
    equal for all objects, so that a generator can learn it from colours alone.
    """
    luma = np.tensordot(photo, _LUMA, axes=(-1, 0))[..., None]
    chroma = photo - luma
    # Rodrigues' rotation around the grey axis (1, 1, 1) / sqrt(3).
    axis = np.full(3, 3**-0.5)
    chroma = (
        chroma * np.cos(_HUE_TURN)
        + np.cross(np.broadcast_to(axis, chroma.shape), chroma) * np.sin(_HUE_TURN)
        + axis * np.sum(chroma * axis, axis=-1, keepdims=True) * (1 - np.cos(_HUE_TURN))
    )
    strength = np.sqrt(np.sum(chroma**2, axis=-1, keepdims=True))
    chroma = chroma * 2.2 / (1 + 1.1 * strength)
    lifted = luma + 0.55 * luma * (1 - luma)
    violet_shade = 0.06 * (1 - luma) ** 2 * np.array([0.6, 0.0, 1.0])
    return np.clip(lifted + chroma + violet_shade, 0, 1)
