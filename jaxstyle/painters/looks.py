"""What each painter makes of a photo: float32 [H, W, 3] RGB in [0, 1], and the same out."""

import cv2
import numpy as np

from jaxstyle.painters.filters import (
    anisotropic_kuwahara,
    bilateral,
    flat_tones,
    lines,
    luma,
    orientation,
    smooth_along,
)
from jaxstyle.painters.palette import from_lab, to_lab

# The pigments of a woodblock print, from dark to light: Prussian blue in three strengths, paper.
_PRINT = np.array(
    [(0.08, 0.14, 0.29), (0.22, 0.36, 0.50), (0.50, 0.65, 0.68), (0.93, 0.90, 0.80)], np.float32
)
# And those of a night sky, to the yellow of its stars.
_NIGHT = np.array(
    [(0.05, 0.08, 0.20), (0.14, 0.27, 0.52), (0.42, 0.60, 0.72), (0.88, 0.82, 0.45)], np.float32
)


def cel(image: np.ndarray) -> np.ndarray:
    """Flat, bright tones within dark outlines, as on an animator's cel."""
    bright = image**0.8
    lab = to_lab(anisotropic_kuwahara(bilateral(bright, times=4), 5.0))
    lab[..., 0] = 100 * flat_tones(np.clip(lab[..., 0] / 100, 0, 1), 6, sharpness=3.0)
    lab[..., 1:] *= 1.15
    outline = _outline(bright, threshold=-0.009)
    return from_lab(lab) * (0.12 + 0.88 * outline[..., None])


def oil(image: np.ndarray) -> np.ndarray:
    """Dabs of paint along the shapes, of livelier colours than the shapes have, with bristle marks.

    Impressionists set colours side by side that a photo shows mixed: what tells the colour of a
    pixel from its surroundings is made stronger first, and light and dark weaker.
    """
    lab = _lively(to_lab(image), lightness=0.72, colour=2.2)
    lab[..., 1:] *= 1.2
    lively = from_lab(lab)
    dabs = anisotropic_kuwahara(lively, 5.0)
    marks, colours = _bristle_marks(lively, dabs, sigma=5.0, length=10)
    return np.clip(dabs + 0.065 * marks + 0.8 * colours, 0, 1)


def starry(image: np.ndarray) -> np.ndarray:
    """Long, heavy strokes in the blues and yellows of a night sky."""
    lively = from_lab(_lively(to_lab(image), lightness=1.0, colour=2.0))
    dabs = anisotropic_kuwahara(lively, 6.0)
    night = to_lab(_dyed(3.4 * luma(dabs) - 0.2, _NIGHT))
    own = to_lab(dabs)
    warmth = _warmth(own)
    night[..., 1:] += ((0.25 + 0.5 * warmth) * (own - night))[..., 1:]
    marks, _ = _bristle_marks(lively, dabs, sigma=8.0, length=16)
    return np.clip(from_lab(night) + 0.09 * marks * np.array([1.0, 1.0, 0.8], np.float32), 0, 1)


def woodblock(image: np.ndarray) -> np.ndarray:
    """A Japanese print: blue lines, flat blues on paper, and ochre where the photo is warm."""
    bright = image**0.55
    smooth = anisotropic_kuwahara(bilateral(bright, times=3), 5.0)
    count = len(_PRINT)
    tone = flat_tones(np.clip(1.05 * luma(smooth) + 0.02, 0, 1), count, sharpness=3.0)
    blue = to_lab(_dyed(tone * count - 0.5, _PRINT))
    own = to_lab(smooth)
    warmth = _warmth(own)
    ochre = np.stack(
        [0.6 * blue[..., 0] + 0.4 * own[..., 0], 0.6 * own[..., 1] + 4, 0.7 * own[..., 2] + 8], -1
    )
    print_ = from_lab(blue + 0.85 * warmth * (ochre - blue))
    outline = _outline(bright, threshold=-0.008)
    pen = 0.85 * (1 - outline[..., None])
    return print_ + pen * (0.8 * _PRINT[0] - print_)


def _outline(image: np.ndarray, *, threshold: float) -> np.ndarray:
    """[H, W], 0 on the line of a pen, to 1; more lines the nearer the threshold is to 0."""
    smooth = bilateral(image, times=3)
    return lines(smooth, sigma=1.2, tau=0.985, threshold=threshold, sharpness=110)


def _lively(lab: np.ndarray, *, lightness: float, colour: float) -> np.ndarray:
    """L*a*b* with what tells each pixel from its surroundings multiplied."""
    surroundings = cv2.GaussianBlur(lab, (0, 0), 10)
    factors = np.array([lightness, colour, colour], np.float32)
    return surroundings + factors * (lab - surroundings)


def _bristle_marks(
    image: np.ndarray, dabs: np.ndarray, *, sigma: float, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Detail of the image, drawn out along the dabs of paint.

    Returns its relief, [H, W, 1], about 1 strong everywhere, and its colours less that, [H, W, 3].
    """
    detail = image - cv2.GaussianBlur(image, (0, 0), 2.5)
    streaks = smooth_along(detail, orientation(dabs, 3.0), sigma=sigma, length=length)
    relief = luma(streaks)
    strength = np.sqrt(cv2.GaussianBlur(np.square(relief), (0, 0), 8)) + 0.012
    return (relief / strength)[..., None], streaks - relief[..., None]


def _dyed(place: np.ndarray, pigments: np.ndarray) -> np.ndarray:
    """[H, W] -> [H, W, 3]: pigment 0 at 0 and below, pigment 1 at 1, and blends in between."""
    place = np.clip(place, 0, len(pigments) - 1)
    numbers = np.arange(len(pigments))
    channels = [np.interp(place, numbers, pigment) for pigment in pigments.T]
    return np.stack(channels, axis=-1).astype(np.float32)


def _warmth(lab: np.ndarray) -> np.ndarray:
    """[H, W, 1]: 0 for greens, blues and greys, to 1 for reds and oranges."""
    return np.clip((0.8 * lab[..., 1] + 0.6 * lab[..., 2] - 8) / 30, 0, 1)[..., None]
