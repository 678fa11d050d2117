"""A virtual camera: video calls and broadcasting programs see the live picture as a webcam's."""

import sys
from fractions import Fraction
from typing import Any, Self

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime.letterbox import Size, letterboxed

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
        self._camera: Any = None

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

    def __exit__(self, *_: object) -> None:
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
