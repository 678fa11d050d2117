"""Where frames come from: images, a film, a camera. Each source is an iterable of `Frame`s.

Every source has: `time_base`, seconds per unit of `Frame.pts`; `rate`, nominal frames per second;
`total`, the number of frames as far as known, or None; `live`, whether frames lose their worth
when late; `close()`.
"""

import contextlib
import dataclasses
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from jaxstyle.data.images import IMAGE_EXTENSIONS, find_files, read_image
from jaxstyle.errors import UserError
from jaxstyle.film import FilmReader, Frame

_IMAGE_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


@dataclasses.dataclass(frozen=True)
class ImageFrame(Frame):
    """A picture from an image file, transparent parts shown on white.

    name: path of the file below the folder it was found in. alpha: uint8 [H, W], or None where the
    whole picture is opaque.
    """

    name: str
    alpha: np.ndarray | None


class ImageSource:
    """Image files, in order, `rate` a second.

    Of several files, those that cannot be read are named on stderr and left out; `skipped` counts
    them. Iteration raises `UserError` if none can be read.
    """

    live = False

    def __init__(self, paths: list[Path], rate: Fraction, folder: Path | None = None):
        self.paths = paths
        self.names = [str(path.relative_to(folder)) if folder else path.name for path in paths]
        self.rate = rate
        self.time_base = 1 / rate
        self.total = len(paths)
        self.skipped = 0

    def __iter__(self) -> Iterator[ImageFrame]:
        for i, (path, name) in enumerate(zip(self.paths, self.names, strict=True)):
            try:
                rgb, alpha = read_image(path), _read_alpha(path)
            except UserError as error:
                self.skipped += 1
                if self.skipped == len(self.paths):
                    raise
                print(f"skipped: {error}", file=sys.stderr)
                continue
            yield ImageFrame(rgb, pts=i - self.skipped, duration=1, name=name, alpha=alpha)

    def close(self) -> None:
        """Leaves nothing open: each file is closed once it is read."""


class CameraSource:
    """A camera by its number; pts are milliseconds since the first frame.

    Raises `UserError` if there is no such camera, or it stops delivering.
    """

    live = True
    total = None
    time_base = Fraction(1, 1000)

    def __init__(self, number: int):
        self._number = number
        # Each of OpenCV's backends would say in several lines what the UserError says in one.
        log = cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_SILENT)
        self._capture = cv2.VideoCapture(number)
        log.setLogLevel(level)
        if not self._capture.isOpened():
            raise UserError(f"no camera number {number}; is it plugged in, and free to use?")
        # The driver would otherwise hand out frames that have waited in its queue.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        reported = Fraction(self._capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
        self.rate = reported if reported > 0 else Fraction(30)

    def __iter__(self) -> Iterator[Frame]:
        start = None
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                raise UserError(f"camera {self._number} stopped delivering pictures")
            now = time.monotonic()
            start = start or now
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            yield Frame(rgb, pts=round((now - start) * 1000), duration=round(1000 / self.rate))

    def close(self) -> None:
        """Frees the camera."""
        self._capture.release()


Source = ImageSource | FilmReader | CameraSource


def open_source(text: str, rate: Fraction, *, keep_going: bool = False) -> Source:
    """Opens what a user named: a file, a folder or glob of images, or a camera's number.

    rate: frames per second of images, which have none of their own. keep_going: see `FilmReader`.
    Raises `UserError` if nothing usable is there.
    """
    path = Path(text).expanduser()
    if path.is_file():
        if _is_image(path):
            return ImageSource([path], rate)
        return FilmReader(path, keep_going=keep_going)
    if text.isdecimal() and not path.exists():
        return CameraSource(int(text))
    found = find_files(text, IMAGE_EXTENSIONS)
    if found:
        return ImageSource(found, rate, folder=path if path.is_dir() else None)
    if path.is_dir():
        raise UserError(f"no images in the folder {text}")
    raise UserError(f"nothing at {text}: no file, no folder, no images for it as a glob, no camera")


def _is_image(path: Path) -> bool:
    """Whether the content is a still image; animations are films, broken ones what they claim."""
    try:
        with Image.open(path, formats=_IMAGE_FORMATS) as image:
            return not getattr(image, "is_animated", False)
    except (OSError, ValueError, Image.DecompressionBombError):
        return path.suffix.lower() in IMAGE_EXTENSIONS


def _read_alpha(path: Path) -> np.ndarray | None:
    """The transparency of an image that `read_image` has read: uint8 [H, W], or None."""
    with Image.open(path) as image:
        if not image.has_transparency_data:
            return None
        alpha = np.array(ImageOps.exif_transpose(image).convert("RGBA").getchannel("A"))
    return None if (alpha == 255).all() else alpha


def resized(frame: Frame, size: tuple[int, int]) -> Frame:
    """The frame stretched to (width, height), its alpha with it."""

    def resize(pixels: np.ndarray) -> np.ndarray:
        shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
        return cv2.resize(
            pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )

    frame = dataclasses.replace(frame, rgb=resize(frame.rgb))
    if isinstance(frame, ImageFrame) and frame.alpha is not None:
        frame = dataclasses.replace(frame, alpha=resize(frame.alpha))
    return frame


def read_ahead[T](items: Iterable[T], *, latest_only: bool = False, depth: int = 3) -> Iterator[T]:
    """Yields `items`, which a thread of its own produces up to `depth` ahead.

    latest_only: an item nobody has taken when the next one is ready is dropped, for live sources.
    An exception in the thread is raised here, in its place.
    """
    ready: queue.Queue = queue.Queue(1 if latest_only else depth)
    stopped = threading.Event()
    end = object()

    def put(item) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                pass  # look again whether anyone still wants it

    def produce() -> None:
        try:
            for item in items:
                if latest_only:
                    with contextlib.suppress(queue.Empty):
                        ready.get_nowait()
                put((item, None))
                if stopped.is_set():
                    return
            put((end, None))
        except Exception as error:
            put((end, error))

    thread = threading.Thread(target=produce, name="read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stopped.set()
        thread.join()
