"""What a user names as a sink, checked and opened before anything is computed."""

import collections
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jaxstyle.errors import UserError
from jaxstyle.media.file_types import CONTAINERS, SAVE_OPTIONS
from jaxstyle.media.film import FilmReader, FilmWriter
from jaxstyle.media.image_writer import writable_name
from jaxstyle.realtime.captures import Recording
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.frame_sinks import (
    FolderSink,
    ImageSink,
    NullSink,
    Sink,
)
from jaxstyle.realtime.frame_sources import ImageSource, RepeatedSource, Source, files_of
from jaxstyle.realtime.http import HttpSink
from jaxstyle.realtime.metrics import Metrics
from jaxstyle.realtime.virtual import VirtualCameraSink
from jaxstyle.realtime.window import WindowSink

_HTTP = re.compile(r"http(?:://(?P<host>[^/:]+|\[[0-9a-fA-F:]+\])?(?::(?P<port>\d+))?/?)?")


def is_watched(text: str) -> bool:
    """Whether the sink that a user names shows pictures as they come, to people or programs."""
    return text in ("window", "virtual") or _HTTP.fullmatch(text) is not None


def written_path(text: str) -> Path | None:
    """The file or folder that the sink is which a user names, if it is one."""
    return None if is_watched(text) or text == "null" else Path(text).expanduser()


@dataclass(frozen=True)
class Output:
    """What the sinks of one run have in common.

    size: what frames are stretched to, or None. max_frames: where the run is cut, or None.
    overwrite: whether existing files are replaced. token: what a viewer on the network must know.
    """

    source: Source
    controls: Controls
    metrics: Metrics
    comment: str
    size: tuple[int, int] | None = None
    max_frames: int | None = None
    overwrite: bool = False
    token: str | None = None

    def open(self, text: str) -> Sink:
        """Opens the sink that `text` names. Raises `UserError` if it cannot be written to."""
        if text == "window":
            return WindowSink(self.controls, overlay=self._overlay)
        if text == "virtual":
            return VirtualCameraSink(self.source.rate)
        if text == "null":
            return NullSink()
        if match := _HTTP.fullmatch(text):
            host, port = match["host"] or "127.0.0.1", int(match["port"] or 8000)
            address = (host.strip("[]"), port)
            return HttpSink(self.controls, address, self.token, status=self.metrics.status)
        if "://" in text or re.fullmatch(r"https?:.*", text):
            raise UserError(f"no sink {text}; one for browsers is http or http://HOST:PORT")
        path = Path(text).expanduser()
        if path.is_dir() or text.endswith(("/", os.sep)) or not path.suffix:
            if path.name == text and not path.exists():
                raise UserError(f"no sink named {text}; a new folder is written {text}/")
            self._check_folder(path)
            return FolderSink(path, self.comment)
        return self._open_file(path)

    def _overlay(self) -> list[str]:
        return [f"{name} {value}" for name, value in self.metrics.status().items()]

    def _open_file(self, path: Path) -> ImageSink | FilmWriter | Recording:
        suffix = path.suffix.lower()
        if suffix not in CONTAINERS and suffix not in SAVE_OPTIONS:
            known = " ".join([*CONTAINERS, *SAVE_OPTIONS])
            raise UserError(f"cannot write {suffix} files; a sink may end in {known}")
        self._check_file(path)
        source = self.source
        if suffix in SAVE_OPTIONS:
            self._check_not_watched(path)
            if source.total != 1 and self.max_frames != 1:
                raise UserError(
                    f"{path} holds one picture; name a folder or a film, or --max_frames=1"
                )
            return ImageSink(path, self.comment)
        if isinstance(source, FilmReader):
            return FilmWriter(
                path,
                time_base=source.time_base,
                rate=source.rate,
                sample_aspect_ratio=_aspect_ratio(source, self.size),
                color=source.color,
                copy_from=source.path,
                cut=self.max_frames is not None,
                comment=self.comment,
            )
        writer = FilmWriter(
            path, time_base=source.time_base, rate=source.rate, comment=self.comment
        )
        return Recording(writer) if source.live else writer

    def _check_not_watched(self, path: Path) -> None:
        if isinstance(self.source, RepeatedSource):
            raise UserError(
                f"{path}: pictures that are watched come again and again; write them to files in "
                "a run of its own, or take snapshots"
            )

    def _check_file(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise UserError(f"there is no folder {path.parent} to write {path.name} to")
        if path.exists():
            if any(path.samefile(used) for used in files_of(self.source)):
                raise UserError(f"{path} is the source itself; choose another name for the result")
            if not self.overwrite:
                raise UserError(f"{path} exists; --overwrite replaces it")

    def _check_folder(self, path: Path) -> None:
        self._check_not_watched(path)
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file, not a folder; give the sink an extension")
        source = self.source
        if path.is_dir():
            # A film may lie in the folder of its frames, but an image would replace itself.
            images = source.paths if isinstance(source, ImageSource) else []
            if any(path.samefile(used.parent) for used in images):
                raise UserError(f"{path} is the folder of the source images; choose another one")
            if not self.overwrite and any(path.iterdir()):
                raise UserError(
                    f"{path} is not empty; --overwrite replaces files of the same names"
                )
        if isinstance(source, ImageSource):
            names = collections.Counter(map(writable_name, source.names))
            name, count = names.most_common(1)[0]
            if count > 1:
                raise UserError(
                    f"{count} of the images would be written to {path / name}; rename them"
                )


def _aspect_ratio(film: FilmReader, size: tuple[int, int] | None) -> Fraction:
    """Of the pixels after resizing, so that the picture keeps its shape on the screen."""
    if size is None:
        return film.sample_aspect_ratio
    ratio = film.sample_aspect_ratio * Fraction(film.size[0], film.size[1]) / Fraction(*size)
    # What rounding a size to whole pixels does to the ratio is not worth recording.
    return Fraction(1) if abs(ratio - 1) < Fraction(1, 100) else ratio.limit_denominator(1000)
