"""A virtual camera: video calls and broadcasting programs see the live picture as a webcam's."""

import sys
from fractions import Fraction
from typing import Self

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.film import Frame
from jaxstyle.realtime.letterbox import Size

try:
    import pyvirtualcam
except ImportError:
    pyvirtualcam = None


class VirtualCameraSink:
    """A camera that other programs can open; it opens with the first frame.

    fps: the rate it reports; frames go out as they come. size: (width, height) of its picture,
    by default the first frame's; odd lengths lose a pixel. Frames of other sizes are scaled to
    fit, with black borders.

    Raises `UserError` if pyvirtualcam is not installed; `write` does if there is no such camera.
    """

    live = True

    def __init__(self, fps: float | Fraction, size: Size | None = None):
        if pyvirtualcam is None:
            raise UserError("a virtual camera needs: pip install 'jaxstyle[virtual]'")
        self._fps = float(fps)
        self._size = size
        self._camera = None

    def write(self, frame: Frame) -> None:
        """Sends the picture. Raises `UserError` if no camera can be opened, or it is gone."""
        if self._camera is None:
            height, width = frame.rgb.shape[:2]
            self._open(self._size or (width, height))
        rgb = letterboxed(frame.rgb, (self._camera.width, self._camera.height))
        try:
            self._camera.send(rgb)
        except RuntimeError as error:
            raise UserError(f"the virtual camera takes no more pictures: {error}") from error

    def finish(self) -> None:
        """Nothing is left to complete: what was written has been seen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        if self._camera is not None:
            self._camera.close()

    def _open(self, size: Size) -> None:
        # Cameras share one colour sample among 2x2 pixels.
        width, height = (max(2, length - length % 2) for length in size)
        try:
            self._camera = pyvirtualcam.Camera(width, height, self._fps)
        except RuntimeError as error:
            reason = "; ".join(str(error).splitlines())
            raise UserError(f"no virtual camera: {_how_to_get_one()} ({reason})") from error
        print(f"virtual camera: {self._camera.device}, {width}x{height}", file=sys.stderr)


def _how_to_get_one() -> str:
    if sys.platform.startswith("linux"):
        return "install v4l2loopback (v4l2loopback-dkms), then run: sudo modprobe v4l2loopback"
    return "install OBS Studio, and start and stop its virtual camera once"


def letterboxed(rgb: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W, 3] scaled to fit the size as a whole, centred on black."""
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(rgb)
    scale = min(size[0] / width, size[1] / height)
    fitted = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    x, y = (size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[y : y + fitted[1], x : x + fitted[0]] = cv2.resize(
        rgb, fitted, interpolation=interpolation
    )
    return picture
