"""Where stylized frames go: an image, a folder of images, nowhere.

The other sinks are `film.FilmWriter`, `window.WindowSink`, `http.HttpSink` and
`virtual.VirtualCameraSink`.
"""

import sys
from pathlib import Path
from typing import Protocol, Self

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.media.image_writer import writable_name, write_image
from jaxstyle.realtime.frame_sources import ImageFrame


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

    def __exit__(self, *_: object) -> None: ...


class SinkClosed(Exception):
    """The viewer has closed the window: no more frames are wanted."""


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

    def __exit__(self, *_: object) -> None:
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

    def __exit__(self, *_: object) -> None:
        pass


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

    def __exit__(self, *_: object) -> None:
        pass
