"""Black bars above and below, or beside, the picture: found over a whole film."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.film import open_film, upright_rgb
from jaxstyle.media.pyav import av

# Luma from 0 to 255: what a bar is at most, and what the picture beside it is at least.
_DARK, _LIT = 16, 32
# Rows or columns within which the one becomes the other, and levels by which three quarters of
# those of a bar differ at most: compression smears the rest. A dark picture has a gradient instead.
_EDGE, _EVEN, _MOST_ROWS = 4, 2, 0.75
# Share of a row that may be brighter (dust, a logo), share of frames in which it may be picture.
_STRAY_PIXELS, _STRAY_FRAMES = 0.02, 0.1
# The share of the height or width that two bars take at most: a phone's upright film on a wide
# screen leaves a third.
_MOST = 0.75
# Fewer key frames than this say too little of a film; then frames are taken from all of it, about
# two a second.
_ENOUGH, _STRIDE = 50, 12


@dataclasses.dataclass(frozen=True)
class Bars:
    """Pixels to cut off at each side of an upright frame."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def crop(self, rgb: np.ndarray) -> np.ndarray:
        """The picture alone: [H, W, ...] -> a view of it."""
        height, width = rgb.shape[:2]
        return rgb[self.top : height - self.bottom, self.left : width - self.right]


def brightness_profile(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [H, W, 3] -> how bright its rows are, float [H], and its columns, float [W].

    Luma from 0 to 255 of all but the brightest 2 % of pixels. The corners that both kinds of bars
    share do no harm: a row or column with any picture in it is brighter.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    quantile = 1 - _STRAY_PIXELS
    return np.quantile(luma, quantile, axis=1), np.quantile(luma, quantile, axis=0)


def find_bars(profiles: Sequence[tuple[np.ndarray, np.ndarray]]) -> Bars:
    """The bars that a film has, from the `brightness_profile`s of frames from all over it.

    A bar is evenly dark in at least nine tenths of the frames that are not dark as a whole, and
    ends at a sharp edge. So neither a fade nor a night scene is mistaken for one, and a logo or a
    line of subtitles that comes and goes does not hide it. Where a film changes its shape, the bars
    of its narrower part stay.
    """
    lit = [(rows, columns) for rows, columns in profiles if rows.max() >= _LIT]
    if not lit:
        return Bars()
    rows, columns = (
        np.quantile(np.stack(each), 1 - _STRAY_FRAMES, axis=0) for each in zip(*lit, strict=True)
    )
    return Bars(*_bars(rows), *_bars(columns))


def film_bars(path: Path) -> Bars:
    """The bars of a film. Raises `UserError` if it cannot be decoded."""
    profiles = [brightness_profile(rgb) for rgb in _pictures(path, key_frames=True)]
    if len(profiles) < _ENOUGH:
        profiles = [brightness_profile(rgb) for rgb in _pictures(path, stride=_STRIDE)]
    if len({(len(rows), len(columns)) for rows, columns in profiles}) > 1:
        raise UserError(f"{path} changes its frame size; convert it to one size first")
    return find_bars(profiles)


def _bars(profile: np.ndarray) -> tuple[int, int]:
    first, last = _bar(profile), _bar(profile[::-1])
    return (first, last) if first + last <= _MOST * len(profile) else (0, 0)


def _bar(profile: np.ndarray) -> int:
    """How many of the first rows are a bar, the blurred edge included."""
    dark = int(np.argmax(profile > _DARK))
    if dark == 0 or dark + _EDGE >= len(profile):
        return 0
    beyond = profile[dark : dark + _EDGE + 1]
    bar = profile[:dark]
    if beyond[-1] < _LIT or np.quantile(bar, _MOST_ROWS) - bar.min() > _EVEN:
        return 0
    # What scaling and compression smear over the edge belongs to neither.
    return dark + int(np.argmax(beyond >= _LIT)) + 1


def _pictures(path: Path, *, key_frames: bool = False, stride: int = 1) -> Iterator[np.ndarray]:
    """Every stride-th frame, upright RGB, uint8 [H, W, 3].

    key_frames: of these alone, which is many times faster than decoding everything.
    """
    container, stream = open_film(path)
    with container:
        if key_frames:
            stream.codec_context.skip_frame = "NONKEY"
        try:
            for frame in itertools.islice(container.decode(stream), 0, None, stride):
                yield upright_rgb(frame)
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged: {error.strerror}") from error
