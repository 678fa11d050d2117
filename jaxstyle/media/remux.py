"""Copies the streams of a film that are not pictures into another one, packet by packet."""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from jaxstyle.errors import UserError
from jaxstyle.media.pyav import av


def ffmpeg_name(path: str | os.PathLike) -> str:
    """The path as FFmpeg has to be given it: it takes what stands before a colon for a protocol."""
    return f"file:{os.fspath(path)}"


class StreamCopy:
    """Audio, subtitles, attachments, chapters and metadata of a film, on their way into another.

    Nothing is decoded: each packet keeps its bytes and its time. The source is opened on its own,
    so that whoever decodes its pictures need not know about it.

    dropped: what the output's container cannot hold, in words. Audio is never dropped: `UserError`
    is raised instead, before anything is written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        output: av.container.OutputContainer,
        *,
        chapters: bool = True,
    ):
        self._source = av.open(ffmpeg_name(path))
        self._output = output
        self._streams: dict[int, av.stream.Stream] = {}
        self.dropped: list[str] = []
        try:
            for stream in self._source.streams:
                # Data tracks (timecode, the chapter track of MP4) belong to their own container.
                if stream.type in ("audio", "subtitle", "attachment"):
                    self._add(stream, Path(path))
        except UserError:
            self.close()
            raise
        # Matroska spells keys in capitals, other containers do not.
        metadata = {key.lower(): value for key, value in self._source.metadata.items()}
        # These describe the file that was read, not the one being written.
        for key in ("major_brand", "minor_version", "compatible_brands", "encoder"):
            metadata.pop(key, None)
        output.metadata.update(metadata)
        if chapters:
            output.set_chapters(self._source.chapters())
        self._packets = self._demux()
        self._held: av.Packet | None = None

    def _add(self, stream: av.stream.Stream, path: Path) -> None:
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        try:
            copy = self._output.add_stream_from_template(stream)
        except ValueError as error:
            kind = f"{codec} {stream.type}"
            if stream.type == "audio":
                raise UserError(
                    f"{Path(self._output.name).suffix} cannot hold the {kind} of {path}; "
                    "write to a .mkv instead"
                ) from error
            self.dropped.append(kind)
            return
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        self._streams[stream.index] = copy

    def _demux(self) -> Iterator[av.Packet]:
        streams = [self._source.streams[index] for index in self._streams]
        if not streams:
            return
        # Whoever decodes the pictures reads the same file, and decides what damage means.
        with contextlib.suppress(av.FFmpegError):
            for packet in self._source.demux(streams):
                if packet.size and packet.pts is not None:
                    yield packet

    def advance(self, time: Fraction) -> None:
        """Copies what starts up to `time`, in seconds on the source's clock."""
        while (packet := self._held or next(self._packets, None)) is not None:
            self._held = packet
            if (packet.pts or 0) * packet.time_base > time:
                return
            self._mux(packet)

    def finish(self, end: Fraction | None) -> None:
        """Copies the rest; with `end`, in seconds, only what starts before it."""
        open_streams = set(self._streams)
        while open_streams and (packet := self._held or next(self._packets, None)) is not None:
            self._held = packet
            if end is None or (packet.pts or 0) * packet.time_base < end:
                self._mux(packet)
            else:
                self._held = None
                open_streams.discard(packet.stream_index)

    def _mux(self, packet: av.Packet) -> None:
        self._held = None
        packet.stream = self._streams[packet.stream_index]
        self._output.mux(packet)

    def close(self) -> None:
        """Closes the source."""
        self._source.close()
