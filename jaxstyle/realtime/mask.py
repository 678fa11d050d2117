"""A mask: which parts of the frames are stylized."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime.frame_sources import ImageFrame, ImageSource, Source, files_of, open_source


class Mask:
    """Frames of a mask, white where the frame beside them is stylized, black where it stays.

    Transparent parts count as black. Each call of `blended` takes the next one; the last one stays
    once the source has ended. count: how many were taken. ended: whether more were wanted.
    """

    def __init__(self, source: Source):
        self.count = 0
        self.ended = False
        self._source = source
        self._frames = iter(source)
        self._grey: np.ndarray | None = None
        self._sized: np.ndarray | None = None

    def blended(self, frame: np.ndarray, stylized: np.ndarray) -> np.ndarray:
        """The stylized picture where the next mask is white, the frame where it is black.

        stylized: uint8 [H, W, 3], which the result has the shape of. frame: uint8 [h, w, 3];
        live, it may be larger. The mask is resized to the result, grey blends.
        Raises `UserError` if a mask cannot be read, or there is not one.
        """
        height, width = stylized.shape[:2]
        grey = self._newest()
        if self._sized is None or self._sized.shape[:2] != (height, width):
            # One sample a channel, as broadcasting over three is several times slower.
            self._sized = cv2.merge([_resized(grey, (width, height))] * 3).astype(np.uint16)
        kept = _resized(frame, (width, height))
        # At most 255 * 255 + 127, which 16 bits hold.
        return ((kept * (255 - self._sized) + stylized * self._sized + 127) // 255).astype(np.uint8)

    @property
    def files(self) -> list[Path]:
        """The files that masks are read from."""
        return files_of(self._source)

    def close(self) -> None:
        """Closes the source."""
        self._source.close()

    def _newest(self) -> np.ndarray:
        """The grey levels of the next mask, or of the last one again once they have ended."""
        mask = None if self.ended else next(self._frames, None)
        if mask is not None:
            self.count += 1
            self._grey = _on_black(mask)
            self._sized = None
        elif self._grey is None:
            raise UserError("the mask holds not one frame")
        else:
            self.ended = True
        return self._grey


def open_mask(text: str, rate: Fraction, *, live: bool) -> Mask:
    """Opens the image, folder of images, or film that a user names as a mask.

    rate: as for `open_source`. live: whether the frames are, which skip some; then only a single
    image fits. Raises `UserError` for anything else.
    """
    source = open_source(text, rate)
    if source.live:
        source.close()
        raise UserError(f"the mask {text} is live; give an image, a folder of images or a film")
    if live and not (isinstance(source, ImageSource) and source.total == 1):
        source.close()
        raise UserError(f"a live picture takes one image as its mask; {text} is more than one")
    if isinstance(source, ImageSource):
        # Left out, it would have all that come after it lie beside the wrong frames.
        source.strict = True
    return Mask(source)


def _on_black(mask: Frame) -> np.ndarray:
    """The grey levels, uint8 [H, W], of the mask where transparent parts show black."""
    grey = cv2.cvtColor(mask.rgb, cv2.COLOR_RGB2GRAY)
    if not isinstance(mask, ImageFrame) or mask.alpha is None:
        return grey
    # It comes on white: of each level, 255 - alpha is the white that shines through.
    return cv2.subtract(grey, 255 - mask.alpha)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[1::-1] == size:
        return picture
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
