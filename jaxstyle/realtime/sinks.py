"""Where stylized frames go: an image, a folder of images, a window; films are `FilmWriter`s.

Every sink is a context manager with `write(frame)` and `finish()`, which completes what leaving
the block alone would abandon.
"""

import collections
import contextlib
import os
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxstyle.errors import UserError
from jaxstyle.film import FilmWriter, Frame
from jaxstyle.realtime.sources import ImageFrame

# By extension: how Pillow is told to save. At these qualities the style's edges stay clean.
SAVE_OPTIONS = {
    ".png": {},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
    ".bmp": {},
}
_WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
_EXIF_SOFTWARE, _EXIF_DESCRIPTION = 0x0131, 0x010E


class SinkClosed(Exception):
    """The viewer has closed the window: no more frames are wanted."""


def write_image(
    path: Path, rgb: np.ndarray, alpha: np.ndarray | None = None, comment: str = ""
) -> None:
    """Writes uint8 [H, W, 3] to an image file, whole or not at all.

    alpha: uint8 [H, W]; `rgb` is what shows on white. Formats without transparency keep the white.
    comment: stored as PNG text, elsewhere as EXIF description; BMP has room for neither.
    """
    suffix = path.suffix.lower()
    image = Image.fromarray(rgb)
    if alpha is not None and suffix in _WITH_ALPHA:
        image = Image.fromarray(_off_white(rgb, alpha))
    options = dict(SAVE_OPTIONS[suffix])
    if suffix == ".png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", "jaxstyle")
        options["pnginfo"].add_text("Comment", comment)
    elif suffix != ".bmp":
        options["exif"] = Image.Exif()
        options["exif"][_EXIF_SOFTWARE] = "jaxstyle"
        options["exif"][_EXIF_DESCRIPTION] = comment
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(partial, **options)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _off_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The uint8 RGBA that looks like `rgb` on white: solves rgb = a c + (1 - a) 255 for c."""
    a = alpha[..., None].astype(np.float32) / 255
    color = 255 - (255 - rgb.astype(np.float32)) / np.maximum(a, 1 / 255)
    return np.dstack([np.clip(np.rint(color), 0, 255).astype(np.uint8), alpha])


class ImageSink:
    """One image file. Raises `UserError` if it gets more than one frame, or none."""

    def __init__(self, path: Path, comment: str):
        self._path = path
        self._comment = comment
        self._frame: Frame | None = None

    def write(self, frame: Frame) -> None:
        """Takes the picture; `finish` writes it."""
        if self._frame is not None:
            raise UserError(f"{self._path} holds one picture; name a folder or a film for more")
        self._frame = frame

    def finish(self) -> None:
        """Writes the file."""
        if self._frame is None:
            raise UserError(f"{self._path}: not one frame to write")
        alpha = self._frame.alpha if isinstance(self._frame, ImageFrame) else None
        write_image(self._path, self._frame.rgb, alpha, self._comment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._frame = None


class FolderSink:
    """A folder: images keep their names, frames of films and cameras are frame_000001.png and on.

    Each file is whole from the moment it appears; those written stay if a later one fails.
    """

    def __init__(self, folder: Path, comment: str):
        self._folder = folder
        self._comment = comment
        self._written = 0

    def write(self, frame: Frame) -> None:
        """Writes one file."""
        self._written += 1
        if isinstance(frame, ImageFrame):
            path, alpha = self._folder / writable_name(frame.name), frame.alpha
        else:
            path, alpha = self._folder / f"frame_{self._written:06d}.png", None
        write_image(path, frame.rgb, alpha, self._comment)

    def finish(self) -> None:
        """Says where the files are."""
        print(f"{self._written} images in {self._folder}", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        pass


def writable_name(name: str) -> str:
    """The file's name; .png in place of an extension that `write_image` has no encoder for."""
    path = Path(name)
    return name if path.suffix.lower() in SAVE_OPTIONS else str(path.with_suffix(".png"))


class WindowSink:
    """A window that plays frames at their own pace, measured frames per second in its title.

    hold: `finish` leaves the last picture up until the viewer closes it. `write` raises
    `SinkClosed` once the viewer presses q or Esc, or closes the window.
    Raises `UserError` if there is no display.
    """

    _TITLE = "jaxstyle"

    def __init__(self, time_base: Fraction, *, live: bool, hold: bool):
        # OpenCV's Qt would abort the process.
        displays = ("DISPLAY", "WAYLAND_DISPLAY")
        if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
            raise UserError("no display to open a window on; write to a file instead")
        self._time_base = time_base
        self._live = live
        self._hold = hold
        self._start: float | None = None
        self._shown: collections.deque[float] = collections.deque(maxlen=30)
        cv2.namedWindow(self._TITLE, cv2.WINDOW_NORMAL)

    def write(self, frame: Frame) -> None:
        """Shows the frame when its time has come; a live one at once."""
        due = float(frame.pts * self._time_base)
        now = time.monotonic()
        if self._start is None:
            self._start = now - due
            height, width = frame.rgb.shape[:2]
            cv2.resizeWindow(self._TITLE, width, height)
        wait = 0.0 if self._live else self._start + due - now
        self._poll(wait)
        cv2.imshow(self._TITLE, cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR))
        self._shown.append(time.monotonic())
        if len(self._shown) > 1:
            fps = (len(self._shown) - 1) / (self._shown[-1] - self._shown[0])
            cv2.setWindowTitle(self._TITLE, f"{self._TITLE}: {fps:.1f} fps")
        self._poll(0.0)

    def _poll(self, seconds: float) -> None:
        """Lets the window work for at least a millisecond, and looks whether it is closed."""
        key = cv2.waitKey(max(1, round(seconds * 1000)))
        closed = cv2.getWindowProperty(self._TITLE, cv2.WND_PROP_VISIBLE) < 1
        if closed or key & 0xFF in (ord("q"), 27):
            self._hold = False
            raise SinkClosed

    def finish(self) -> None:
        """Returns at once, or with `hold` when the viewer is done looking."""
        with contextlib.suppress(SinkClosed):
            while self._hold:
                self._poll(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        cv2.destroyAllWindows()


Sink = ImageSink | FolderSink | FilmWriter | WindowSink
