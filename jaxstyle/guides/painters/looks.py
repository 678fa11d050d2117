"""What each painter makes of a photo: float32 [H, W, 3] RGB in [0, 1], and the same out."""

import cv2
import numpy as np

from jaxstyle.guides.painters.filters import (
    anisotropic_kuwahara,
    bilateral,
    contour_strokes,
    flat_tones,
    lines,
    lively,
    luma,
)
from jaxstyle.guides.painters.matching import from_lab, to_lab

# The pigments of a woodblock print, from dark to light: Prussian blue in three strengths, paper.
_PRINT = np.array(
    [(0.08, 0.14, 0.29), (0.22, 0.36, 0.50), (0.50, 0.65, 0.68), (0.93, 0.90, 0.80)], np.float32
)
# And those of a night sky, from a neutral black to the yellow of its stars.
_NIGHT = np.array(
    [(0.05, 0.05, 0.06), (0.10, 0.30, 0.57), (0.42, 0.68, 0.77), (0.98, 0.94, 0.57)], np.float32
)


def cel(image: np.ndarray) -> np.ndarray:
    """Flat, bright, clear tones in a cool light within dark outlines, as on an animator's cel."""
    # Detail finer than this blur would make lines that come and go in a film.
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    bright = image**0.55
    lab = to_lab(anisotropic_kuwahara(bilateral(bright, times=4), 4.0))
    lab[..., 0] = 100 * flat_tones(np.clip(lab[..., 0] / 100, 0, 1), 6, sharpness=1.5)
    lab = _clear(lab, amount=1.0)
    lab += _between_black_and_white(lab) * np.array([0, -10, -7], np.float32)
    return from_lab(lab) * (0.18 + 0.82 * _outline(bright)[..., None])


def oil(image: np.ndarray) -> np.ndarray:
    """Dabs of paint along the shapes, in clear colours and a cool light, over violet shadows.

    Impressionists know no black, and set colours side by side that a photo shows mixed: hues turn
    from dab to dab, as the lightness rises and falls.
    """
    lab = _clear(to_lab(bilateral(image**0.85, times=2)), amount=0.8)
    lightness = lab[..., 0]
    surroundings = cv2.GaussianBlur(lightness, (0, 0), 12.0)
    from_middle_grey = (lightness - 50) / 50
    lab[..., 0] = 54 + 0.6 * (surroundings - 50) + 0.8 * (lightness - surroundings)
    lab[..., 1] = lab[..., 1] - 3 - 12 * np.minimum(from_middle_grey, 0)
    lab[..., 2] = lab[..., 2] - 12 + 10 * from_middle_grey
    dabs = to_lab(anisotropic_kuwahara(from_lab(lab), 6.0, 12.0))

    photographed, period = to_lab(image)[..., 0], 14.0
    wave, turned = (
        contour_strokes(photographed + shift, sigma=2.5, period=period, still=0.2)
        for shift in (0, period / 4)
    )
    dabs += np.stack([5 * wave, 10 * turned, 15 * wave], axis=-1)
    return from_lab(lively(dabs, lightness=1.2, colour=1.2, sigma=1.5))


def starry(image: np.ndarray) -> np.ndarray:
    """Short strokes along edges and slopes of light, in the blues and yellows of a night sky.

    The contrast between a place and its surroundings is lower than that of the large shapes, and
    the finest detail's is raised again: so it is nearer to the painting's at every scale.
    """
    lab = to_lab(image)
    own = to_lab(
        anisotropic_kuwahara(from_lab(lively(lab, lightness=1.3, colour=1.6, sigma=10.0)), 4.0)
    )
    lightness = own[..., 0] / 100
    surroundings = cv2.GaussianBlur(lightness, (0, 0), 20.0)
    # When the light of a whole place changes from frame to frame, strokes must stay where they are.
    detail = lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 8.0)
    strokes = contour_strokes(detail, sigma=3.0, period=10.0, still=0.35)
    place = 3.7 * surroundings - 0.38 + 1.6 * (lightness - surroundings) + 0.3 * strokes
    night = to_lab(_dyed(place, _NIGHT))
    night[..., 1:] += (0.5 * _warmth(own) * (own - night))[..., 1:]
    return from_lab(lively(night, lightness=1.9, colour=1.9, sigma=1.5))


def woodblock(image: np.ndarray) -> np.ndarray:
    """A Japanese print: blue lines, flat blues on paper, and ochre where the photo is warm."""
    bright = image**0.6
    smooth = anisotropic_kuwahara(bilateral(bright, times=3), 4.0)
    lightness = luma(smooth)
    # The dark is hatched along its shapes, the paper is not.
    hatching = contour_strokes(to_lab(image)[..., 0], sigma=3.0, period=12.0, still=0.15)
    shade = 1.05 * lightness - 0.02 + 0.12 * hatching * (1 - lightness)
    count = len(_PRINT)
    blue = to_lab(
        _dyed(flat_tones(np.clip(shade, 0, 1), count, sharpness=2.0) * count - 0.5, _PRINT)
    )
    own = to_lab(smooth)
    ochre = np.stack(
        [
            0.6 * own[..., 0] + 0.4 * blue[..., 0] + 4,
            0.4 * own[..., 1] + 2,
            0.45 * own[..., 2] + 10,
        ],
        axis=-1,
    )
    print_ = from_lab(blue + 0.95 * _warmth(own, least=4, most=14) * (ochre - blue))
    pen = 0.8 * (1 - _outline(bright)[..., None])
    return print_ + pen * (0.75 * _PRINT[0] - print_)


def _outline(image: np.ndarray) -> np.ndarray:
    """[H, W], 0 on the line of a pen, to 1."""
    smooth = bilateral(image, times=3)
    return lines(smooth, sigma=1.2, tau=0.985, threshold=-0.006, sharpness=60)


def _clear(lab: np.ndarray, *, amount: float) -> np.ndarray:
    """L*a*b* in which what has a hue shows it, while what is grey or white stays so."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])[..., None]
    clear = np.interp(chroma, [0, 2, 7, 20, 40, 90], [0, 4, 17, 35, 55, 90]).astype(np.float32)
    factor = 1 + amount * (clear / np.maximum(chroma, 1e-3) - 1)
    return lab * np.concatenate([np.ones_like(factor), factor, factor], axis=-1)


def _between_black_and_white(lab: np.ndarray) -> np.ndarray:
    """[H, W, 1]: 0 where there is black or white, to 1 half way between."""
    lightness = lab[..., :1] / 100
    return 4 * lightness * (1 - lightness)


def _dyed(place: np.ndarray, pigments: np.ndarray) -> np.ndarray:
    """[H, W] -> [H, W, 3]: pigment 0 at 0 and below, pigment 1 at 1, and blends in between."""
    place = np.clip(place, 0, len(pigments) - 1)
    numbers = np.arange(len(pigments))
    channels = [np.interp(place, numbers, pigment) for pigment in pigments.T]
    return np.stack(channels, axis=-1).astype(np.float32)


def _warmth(lab: np.ndarray, *, least: float = 8, most: float = 38) -> np.ndarray:
    """[H, W, 1]: 0 for greens, blues and greys, to 1 for reds and oranges.

    least, most: how warm, in units of a* and b*, what counts as 0 and as 1 is.
    """
    warm = 0.8 * lab[..., 1] + 0.6 * lab[..., 2]
    return np.clip((warm - least) / (most - least), 0, 1)[..., None]
