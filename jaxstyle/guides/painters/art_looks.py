"""What painters that take their colours from art make of a photo.

All take a `Photo` and `ArtColors`, and give float32 RGB [H, W, 3] in [0, 1]. They are made of three
things: flat regions or dabs of paint, the colours of the art, and the lines of a pen.
"""

import dataclasses
import functools
from collections.abc import Callable

import cv2
import numpy as np

from jaxstyle.guides.painters.color_transport import ArtColors
from jaxstyle.guides.painters.filters import (
    anisotropic_kuwahara,
    bilateral,
    contour_strokes,
    flat_regions,
    lines,
    lively,
    luma,
)
from jaxstyle.guides.painters.matching import from_lab, to_lab

# Mirrored around a photo while it is painted: filters would draw its border.
_MARGIN = 16
# Art is brighter than photos, and few painters leave a shadow black: first all is lightened.
_GAMMA = 0.7
# Prussian blue from dark to light, and paper: L*a*b*, by L*.
_PRUSSIAN = np.array(
    [(12, 2, -14), (28, 0, -24), (48, -5, -22), (68, -6, -10), (86, -1, 8), (96, -1, 10)],
    np.float32,
)


class Photo:
    """A photo, lightened, with its margin, and what looks are made of; each is computed once."""

    def __init__(self, image: np.ndarray):
        """image: float32 RGB [H, W, 3] in [0, 1]."""
        around = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
        self.bright = np.pad(image, around, mode="reflect") ** np.float32(_GAMMA)

    @functools.cached_property
    def regions(self) -> np.ndarray:
        """L*a*b*, flat with crisp borders."""
        return to_lab(flat_regions(cv2.GaussianBlur(self.bright, (0, 0), 0.7), smoothness=0.02))

    @functools.cached_property
    def dabs(self) -> np.ndarray:
        """L*a*b*, dabs of paint along the shapes."""
        return to_lab(anisotropic_kuwahara(bilateral(self.bright, times=1), 6.0, 12.0))

    def pen(self, *, sigma: float, threshold: float, sharpness: float) -> np.ndarray:
        """[H, W, 1], 0 on a line and 1 off it; see `lines`."""
        smooth = bilateral(self.bright, times=2)
        drawn = lines(smooth, sigma=sigma, tau=0.985, threshold=threshold, sharpness=sharpness)
        return drawn[..., None]

    def unfilled(self, below: float) -> np.ndarray:
        """[H, W, 1], 0 where a pen fills what is darker than `below` with ink, to 1."""
        darkness = (below - luma(cv2.GaussianBlur(self.bright, (0, 0), 1.0))) / 0.03
        return (0.5 - 0.5 * np.tanh(darkness / 2))[..., None]


@dataclasses.dataclass(frozen=True)
class Look:
    """A painter, and how many colours its palette has."""

    paint: Callable[[Photo, ArtColors], np.ndarray]
    palette: int

    def __call__(self, image: np.ndarray, colors: ArtColors) -> np.ndarray:
        """float32 RGB [H, W, 3] in [0, 1] to the same, painted."""
        painted = self.paint(Photo(image), colors)
        return painted[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _ukiyoe(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A Japanese print: what has no colour of its own is printed in Prussian blue."""
    lab = _flat(photo, colors, colour=1.4, own=0.35)
    blue = np.stack(
        [np.interp(lab[..., 0], _PRUSSIAN[:, 0], channel) for channel in _PRUSSIAN.T], axis=-1
    )
    coloured = np.clip((_chroma(photo.regions) - 6) / 14, 0, 1)
    pen = photo.pen(sigma=1.1, threshold=-0.004, sharpness=90)
    return _inked(from_lab((blue + coloured * (lab - blue)).astype(np.float32)), pen, _INDIGO)


def _tarot(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A card in a few strong colours, with bold lines and black shadows."""
    pen = photo.pen(sigma=1.3, threshold=-0.002, sharpness=120) * photo.unfilled(0.24)
    return _inked(from_lab(_flat(photo, colors, colour=1.3, own=0.2)), pen, _BLACK)


def _toybook(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A Victorian picture book: muted flats within brown lines."""
    pen = photo.pen(sigma=1.2, threshold=-0.003, sharpness=100)
    return _inked(from_lab(_flat(photo, colors, colour=1.3, own=0.3)), pen, _BROWN)


def _storybook(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A nursery book: clear colours and fine lines on white."""
    pen = photo.pen(sigma=1.1, threshold=-0.003, sharpness=100)
    return _inked(from_lab(_flat(photo, colors, colour=1.4, own=0.5)), pen, _BLACK)


def _comic(photo: Photo, colors: ArtColors) -> np.ndarray:
    """An early comic: much ink, black shadows, a few colours on cream."""
    pen = photo.pen(sigma=1.2, threshold=-0.002, sharpness=120) * photo.unfilled(0.28)
    return _inked(from_lab(_flat(photo, colors, colour=1.6, own=0.5)), pen, _BLACK)


def _animation(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A drawn animation film: bright flats, and fine dark lines."""
    pen = photo.pen(sigma=1.1, threshold=-0.004, sharpness=90)
    lab = _flat(photo, colors, colour=1.4, own=0.75)
    return _inked(from_lab(lab), pen, _BROWN)


def _inkline(photo: Photo, colors: ArtColors) -> np.ndarray:
    """Pen and brush, black on the paper of the art."""
    pen = photo.pen(sigma=1.0, threshold=-0.0015, sharpness=140) * photo.unfilled(0.3)
    lightest = colors.palette[colors.palette[:, 0].argmax()]
    paper = from_lab(np.broadcast_to(lightest, photo.bright.shape).copy())
    return _inked(paper, pen, _BLACK)


def _inkwash(photo: Photo, colors: ArtColors) -> np.ndarray:
    """Brown ink over thin washes that are darker at their borders."""
    lab = colors.moved(_coloured(photo.dabs, 1.1))
    lab[..., 0] = 25 + 0.78 * lab[..., 0]
    lab[..., 0] -= 1.3 * _inner_borders(lab[..., 0], most=10)
    pen = 0.15 + 0.85 * photo.pen(sigma=1.1, threshold=-0.003, sharpness=90)
    return _inked(from_lab(lab), pen, _BROWN)


def _watercolour(photo: Photo, colors: ArtColors) -> np.ndarray:
    """Transparent colours that dry darker at their borders, over pencil, on white paper."""
    lab = colors.moved(_coloured(photo.dabs, 1.4))
    lab[..., 0] = 22 + 0.78 * lab[..., 0]
    paper = np.clip((lab[..., :1] - 84) / 12, 0, 1)
    lab += paper * (np.array([97, 0, 4], np.float32) - lab)
    lab[..., 0] -= 1.6 * _inner_borders(lab[..., 0], most=12)
    pencil = 0.55 + 0.45 * photo.pen(sigma=1.0, threshold=-0.004, sharpness=70)
    return from_lab(lab) * pencil


def _impressionist(photo: Photo, colors: ArtColors) -> np.ndarray:
    """Light dabs in clear colours, no black."""
    lab = _own_hues(photo.dabs, colors, colour=1.7, own=0.4)
    lab[..., 0] = 4 + 0.98 * lab[..., 0]
    return from_lab(_crisp(lab, large=1.7, small=1.8))


def _classic_oil(photo: Photo, colors: ArtColors) -> np.ndarray:
    """Thick paint: deep darks, strong reds and browns."""
    return from_lab(
        _crisp(_own_hues(photo.dabs, colors, colour=1.2, own=0.2), large=1.4, small=1.6)
    )


def _starry_night(photo: Photo, colors: ArtColors) -> np.ndarray:
    """A night of blues and yellows, with strokes along its shapes."""
    lab = colors.moved(_coloured(photo.dabs, 1.5))
    lightness = to_lab(photo.bright)[..., 0]
    # When the light of a place changes from frame to frame, strokes must stay where they are.
    detail = lightness - cv2.GaussianBlur(lightness, (0, 0), 10.0)
    strokes = contour_strokes(detail, sigma=2.5, period=9.0, still=0.6)
    lab += strokes[..., None] * np.array([4, 0, 3], np.float32)
    return from_lab(_crisp(lab, large=1.4, small=1.6))


# Inks, RGB.
_BLACK = np.array([0.06, 0.05, 0.06], np.float32)
_BROWN = np.array([0.18, 0.11, 0.09], np.float32)
_INDIGO = np.array([0.07, 0.10, 0.24], np.float32)

ART_LOOKS = {
    "ukiyoe": Look(_ukiyoe, 12),
    "tarot": Look(_tarot, 12),
    "toybook": Look(_toybook, 12),
    "storybook": Look(_storybook, 16),
    "comic": Look(_comic, 8),
    "animation": Look(_animation, 24),
    "inkline": Look(_inkline, 8),
    "inkwash": Look(_inkwash, 12),
    "watercolour": Look(_watercolour, 12),
    "impressionist": Look(_impressionist, 12),
    "classic_oil": Look(_classic_oil, 12),
    "starry_night": Look(_starry_night, 12),
}


def _flat(photo: Photo, colors: ArtColors, *, colour: float, own: float) -> np.ndarray:
    """Flat regions in the palette's colours; see `_own_hues`, and what is own stays so."""
    lab = _own_hues(photo.regions, colors, colour=colour, own=own)
    flat = colors.flattened(lab, spread=35.0)
    return lab + np.array([0.9, 0.9 - own, 0.9 - own], np.float32) * (flat - lab)


def _own_hues(lab: np.ndarray, colors: ArtColors, *, colour: float, own: float) -> np.ndarray:
    """The art's colours, with a part of the photo's hues: skin and leaves must stay what they are.

    colour: what the photo's are multiplied by. own: how much of them is in the result, 0 to 1.
    """
    lab = _coloured(lab, colour)
    moved = colors.moved(lab)
    moved[..., 1:] += own * (lab - moved)[..., 1:]
    return moved


def _coloured(lab: np.ndarray, factor: float) -> np.ndarray:
    return lab * np.array([1, factor, factor], np.float32)


def _chroma(lab: np.ndarray) -> np.ndarray:
    return np.hypot(lab[..., 1:2], lab[..., 2:])


def _inked(image: np.ndarray, pen: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """RGB with ink where the pen, [H, W, 1], is 0."""
    return (ink + pen * (image - ink)).astype(np.float32)


def _inner_borders(lightness: np.ndarray, *, most: float) -> np.ndarray:
    """[H, W], how much darker than its surroundings a place at the border of a dark one is."""
    return np.clip(cv2.GaussianBlur(lightness, (0, 0), 3.0) - lightness, 0, most)


def _crisp(lab: np.ndarray, *, large: float, small: float) -> np.ndarray:
    """What tells each pixel from its surroundings of five pixels, and of one, multiplied."""
    lab = lively(lab, lightness=large, colour=large, sigma=5.0)
    return lively(lab, lightness=small, colour=small, sigma=1.2)
