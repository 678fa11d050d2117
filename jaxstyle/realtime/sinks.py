"""Where stylized frames go: an image, a folder of images, nowhere.

The other sinks are `film.FilmWriter`, `window.WindowSink`, `http.HttpSink` and
`virtual.VirtualCameraSink`.
"""

import os
import sys
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxstyle.errors import UserError
from jaxstyle.film import Frame
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


class Sink(Protocol):
    """What every sink is: a context manager that takes frames from one thread.

    live: whether it wants the newest picture, so that older ones may be dropped for it, and takes
    frames of changing sizes; otherwise it wants every frame.
    """

    live: bool

    def write(self, frame: Frame) -> None:
        """Takes a frame. Raises `UserError` if it cannot be written."""

    def finish(self) -> None:
        """Completes what leaving the block alone would abandon."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_) -> None: ...


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

    live = False

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

    live = False

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


class NullSink:
    """Takes every frame and keeps none, to measure the rest. written: how many came."""

    live = False

    def __init__(self):
        self.written = 0

    def write(self, frame: Frame) -> None:
        """Counts the frame."""
        self.written += 1

    def finish(self) -> None:
        """Leaves nothing behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        pass
