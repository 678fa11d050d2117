"""Where frames come from: images, films, cameras, streams. Each source is an iterable of `Frame`s.

Every source has: `time_base`, seconds per unit of `Frame.pts`; `rate`, nominal frames per second;
`total`, the number of frames as far as known, or None; `live`, whether frames lose their worth
when late; `close()`.
"""

import dataclasses
import re
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmReader, Frame
from jaxstyle.media.images import IMAGE_EXTENSIONS, find_files, read_image
from jaxstyle.realtime.cameras import CameraSource, StreamSource

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
    them. Iteration raises `UserError` if none can be read; if `strict` is set, at the first that
    cannot.
    """

    live = False

    def __init__(self, paths: list[Path], rate: Fraction, folder: Path | None = None):
        self.strict = False
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
                if self.strict or self.skipped == len(self.paths):
                    raise
                print(f"skipped: {error}", file=sys.stderr)
                continue
            yield ImageFrame(rgb, pts=i - self.skipped, duration=1, name=name, alpha=alpha)

    def close(self) -> None:
        """Leaves nothing open: each file is closed once it is read."""


class RepeatedSource:
    """Image files as a live source: each once, `rate` a second, then the last one again and again.

    Raises `UserError` while iterating if none can be read. `close`, from any thread, ends it.
    """

    live = True
    total = None

    def __init__(self, images: ImageSource):
        self.paths = images.paths
        self.rate = images.rate
        self.time_base = images.time_base
        self._images = images
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[ImageFrame]:
        images = iter(self._images)
        start = time.monotonic()
        frame, pts = next(images), 0
        while not self._closed.is_set():
            yield dataclasses.replace(frame, pts=pts)
            frame = next(images, frame)
            # Whoever is slow gets fewer of them; the show takes as long.
            pts = max(pts + 1, int((time.monotonic() - start) * self.rate))
            self._closed.wait(max(0.0, start + float(pts * self.time_base) - time.monotonic()))

    def close(self) -> None:
        """Ends the iteration at once."""
        self._closed.set()


Source = ImageSource | RepeatedSource | FilmReader | CameraSource | StreamSource


def open_source(
    text: str,
    rate: Fraction,
    *,
    keep_going: bool = False,
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
) -> Source:
    """Opens what a user named.

    That is a file; a folder, a glob or a numbered sequence (img_%04d.png) of images; a camera's
    number or path; or a stream's URL.

    rate: frames per second of images, which have none of their own. keep_going: see `FilmReader`.
    size, fps: (width, height) and frames per second that a camera is asked for.
    Raises `UserError` if nothing usable is there.
    """
    if "://" in text:
        return StreamSource(text)
    path = Path(text).expanduser()
    if text.startswith(("/dev/video", "/dev/v4l/")) or path.is_char_device():
        return CameraSource(text, size, fps)
    if path.is_file():
        if _is_image(path):
            return ImageSource([path], rate)
        return FilmReader(path, keep_going=keep_going)
    if text.isdecimal() and not path.exists():
        return CameraSource(int(text), size, fps)
    found = find_files(text, IMAGE_EXTENSIONS) or _numbered_images(path)
    if found:
        return ImageSource(found, rate, folder=path if path.is_dir() else None)
    if path.is_dir():
        raise UserError(f"no images in the folder {text}")
    raise UserError(
        f"nothing at {text}: no file, no folder, no images for it as a glob or a numbered sequence,"
        " no camera"
    )


def files_of(source: Source) -> list[Path]:
    """The files that a source reads; none for cameras and streams."""
    if isinstance(source, ImageSource | RepeatedSource):
        return source.paths
    return [source.path] if isinstance(source, FilmReader) else []


def _numbered_images(pattern: Path) -> list[Path]:
    """The images that a printf pattern such as frames/img_%04d.png names, by their numbers."""
    parts = re.fullmatch(r"(.*)%(?:0(\d+))?d(.*)", pattern.name)
    if parts is None:
        return []
    before, digits, after = parts.groups()
    name = re.compile(rf"{re.escape(before)}(\d{{{digits or 1},}}){re.escape(after)}")
    numbers = {path: name.fullmatch(path.name) for path in pattern.parent.glob("*")}
    found = {path: int(number[1]) for path, number in numbers.items() if number}
    return sorted(found, key=found.__getitem__)


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
