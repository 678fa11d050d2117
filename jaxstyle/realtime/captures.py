"""Snapshots and recordings that a person asks for while it runs."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmWriter, Frame
from jaxstyle.media.image_writer import write_image
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.letterbox import letterboxed


class Recording:
    """A film of live frames: the size of the first one rules, later ones are letterboxed into it.

    writer: the film, of which this is the context manager, too. Time starts at its first frame.
    """

    live = False

    def __init__(self, writer: FilmWriter):
        self.path = writer.path
        self._writer = writer
        self._first: Frame | None = None

    def write(self, frame: Frame) -> None:
        """Appends a frame."""
        self._first = self._first or frame
        height, width = self._first.rgb.shape[:2]
        rgb = letterboxed(frame.rgb, (width, height))
        self._writer.write(dataclasses.replace(frame, rgb=rgb, pts=frame.pts - self._first.pts))

    def finish(self) -> None:
        """Completes the film."""
        self._writer.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)


class Captures:
    """A sink that keeps nothing until the controls ask for a snapshot or a recording.

    folder: where `snapshot_DATE_TIME.png` and `recording_DATE_TIME.mp4` go. time_base: seconds per
    unit of `Frame.pts`; rate: nominal frames per second. What cannot be written is given up in
    one line: the show goes on.
    """

    live = False

    def __init__(
        self, folder: Path, controls: Controls, time_base: Fraction, rate: Fraction, comment: str
    ):
        self._folder = folder
        self._controls = controls
        self._time_base = time_base
        self._rate = rate
        self._comment = comment
        self._recording: Recording | None = None
        self._last: Frame | None = None

    def write(self, frame: Frame) -> None:
        """Takes the frame as a snapshot or into the recording, as the controls say."""
        self._last = frame
        self.take_snapshot()
        with self._given_up_if_unwritable():
            if self._controls.settings.recording:
                self._record(frame)
            elif self._recording:
                self._complete(self._recording)

    def take_snapshot(self) -> None:
        """Keeps the last frame if that is asked for, also while none comes."""
        if self._last is not None and self._controls.take_snapshot():
            with self._given_up_if_unwritable():
                path = self._path("snapshot", ".png")
                write_image(path, self._last.rgb, comment=self._comment)
                tqdm.write(f"snapshot: {path}", file=sys.stderr)

    def finish(self) -> None:
        """Completes a recording that is under way."""
        if self._recording:
            self._complete(self._recording)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._abandon()

    @contextlib.contextmanager
    def _given_up_if_unwritable(self) -> Iterator[None]:
        try:
            yield
        except (UserError, OSError) as error:
            tqdm.write(f"not kept: {error}", file=sys.stderr)
            self._controls.change({"recording": False})
            self._abandon()

    def _record(self, frame: Frame) -> None:
        if self._recording is None:
            path = self._path("recording", ".mp4")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._recording = Recording(
                FilmWriter(path, time_base=self._time_base, rate=self._rate, comment=self._comment)
            )
            tqdm.write(f"recording: {path}", file=sys.stderr)
        self._recording.write(frame)

    def _complete(self, recording: Recording) -> None:
        recording.finish()
        tqdm.write(f"recorded: {recording.path}", file=sys.stderr)
        self._abandon()

    def _abandon(self) -> None:
        """Lets go of the recording; a complete one stays."""
        if self._recording:
            self._recording.__exit__(None, None, None)
        self._recording = None

    def _path(self, kind: str, suffix: str) -> Path:
        name = f"{kind}_{time.strftime('%Y%m%d_%H%M%S')}"
        path = self._folder / f"{name}{suffix}"
        count = 1
        while path.exists():
            count += 1
            path = self._folder / f"{name}_{count}{suffix}"
        return path
