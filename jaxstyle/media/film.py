"""Films in and out, through PyAV (FFmpeg): pixels as upright RGB, everything else kept.

What is decoded is what a player shows: the colour matrix and range are applied, rotation metadata
is turned into pixels. What is written is H.264 or VP9 with the same timestamps and colour tags,
and the source's audio, subtitles, chapters and metadata copied packet by packet.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import move_whole
from jaxstyle.media.file_types import CONTAINERS
from jaxstyle.media.pyav import (
    AVRational,
    ColorRange,
    Disposition,
    Flags,
    Interpolation,
    SideDataType,
    av,
)
from jaxstyle.media.remux import StreamCopy, ffmpeg_name

# Code points of ITU-T H.273, as FFmpeg uses them.
UNSPECIFIED = 2
BT709, BT470BG, SMPTE170M = 1, 5, 6
# From H.273 matrices to the names swscale has for those it can convert with.
_SWSCALE_MATRIX = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020"}
_RGB_MATRIX = 0

# swscale's fast paths are a few levels off.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture: rgb uint8 [H, W, 3]; pts and duration in the time base of its source.

    original: of a stylized picture, what it was before: uint8 [h, w, 3], perhaps of another size.
    """

    rgb: np.ndarray
    pts: int
    duration: int
    original: np.ndarray | None = dataclasses.field(default=None, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Color:
    """What the RGB values of a film mean: code points of ITU-T H.273."""

    matrix: int = BT709
    primaries: int = BT709
    transfer: int = BT709


REC709 = Color()


def open_film(path: str | os.PathLike) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Opens a film and finds its main picture stream (a cover image is none).

    Raises `UserError` if there is no such file, or no film in it.
    """
    if not Path(path).is_file():
        raise UserError(f"no film at {path}")
    if Path(path).stat().st_size == 0:
        raise UserError(f"{path} is empty: 0 bytes")
    try:
        container = av.open(ffmpeg_name(path))
    except av.FFmpegError as error:
        raise UserError(f"{path} is not a readable film: {error.strerror}") from error
    stream = container.streams.best("video")
    # FFmpeg's "tty" renders any text file as a film.
    if (
        container.format.name == "tty"
        or not isinstance(stream, av.VideoStream)
        or _is_cover(stream)
    ):
        container.close()
        raise UserError(f"{path} has no moving pictures in it")
    if stream.codec_context is None:
        container.close()
        raise UserError(f"{path} is coded in a way that this FFmpeg cannot decode")
    return container, stream


def upright_rgb(frame: av.VideoFrame) -> np.ndarray:
    """A decoded frame as a player shows it: uint8 [H, W, 3], full-range R'G'B', upright."""
    if _is_rgb(frame):
        converted = frame.reformat(format="rgb24")
    else:
        matrix = _matrix(frame.colorspace, frame.width, frame.height)
        converted = frame.reformat(
            format="rgb24",
            src_colorspace=_SWSCALE_MATRIX[matrix],
            dst_color_range=ColorRange.JPEG,
            interpolation=_EXACT,
        )
    return np.ascontiguousarray(_oriented(converted.to_ndarray(), _orientation(frame)))


class FilmReader:
    """A film as a one-pass iterator over its `Frame`s.

    time_base: seconds per unit of pts. rate: frames per second, a rational. size: (width, height),
    upright. sample_aspect_ratio: of the upright pixels. color: what the RGB means. total: the
    number of frames, or None where the container does not say. damaged: how often something could
    not be read so far; more than 0 only with `keep_going`.

    Raises `UserError`, naming the frame, at damage and at a premature end; with `keep_going` it
    passes on what the decoder makes of them instead.
    """

    live = False

    def __init__(self, path: str | os.PathLike, *, keep_going: bool = False):
        self.path = Path(path)
        self.damaged = 0
        self._keep_going = keep_going
        self._container, stream = open_film(path)
        self._stream = stream
        stream.thread_type = "AUTO"
        self.time_base = _fraction(stream.time_base)
        self.rate = _fraction(stream.guessed_rate) or Fraction(25)
        self.total = stream.frames or _estimated_frames(self._container, stream, self.rate)
        self._decoded = self._decode()
        try:
            self._first = next(self._decoded, None)
            if self._first is None:
                raise UserError(f"{path} has no picture that can be decoded")
        except UserError:
            self.close()
            raise
        first = self._first
        aspect = _fraction(stream.sample_aspect_ratio) or Fraction(1)
        turned = _orientation(first)[0, 0] == 0
        self.sample_aspect_ratio = 1 / aspect if turned else aspect
        self.size = (first.height, first.width) if turned else (first.width, first.height)
        self.color = _color(stream.codec_context, first)

    def __iter__(self) -> Iterator[Frame]:
        period = max(1, round(1 / (self.rate * self.time_base)))
        pts = -period
        frame: av.VideoFrame | None = self._first
        while frame is not None:
            # Old containers (AVI) and raw streams have no timestamps: the frame rate stands in.
            pts = frame.pts if frame.pts is not None else pts + period
            yield Frame(upright_rgb(frame), pts, frame.duration or period)
            frame = next(self._decoded, None)

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        frames, packets, end = 0, 0, Fraction(0)
        try:
            for packet in self._container.demux():
                if packet.pts is not None:
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                # Not `packet.stream_index`: it is 0 in the empty packet that ends each stream.
                if packet.stream.index != self._stream.index:
                    continue
                packets += packet.size > 0
                if packet.is_corrupt:
                    self._damage(frames, "a picture is incomplete")
                for frame in self._decode_packet(packet, frames):
                    frames += 1
                    yield frame
        except av.FFmpegError as error:
            self._damage(frames, str(error.strerror))
        if self._ends_early(packets, end):
            self._damage(frames, "the file ends there, earlier than it says")

    def _decode_packet(self, packet: av.Packet, frames: int) -> Iterator[av.VideoFrame]:
        try:
            decoded = packet.decode()
        except av.FFmpegError as error:
            self._damage(frames, str(error.strerror))
            return
        for frame in decoded:
            frames += 1
            if frame.is_corrupt:
                self._damage(frames, "its pictures are damaged there")
            yield frame

    def _damage(self, frame: int, what: str) -> None:
        if not self._keep_going:
            raise UserError(f"{self.path} is damaged near frame {frame}: {what}")
        self.damaged += 1

    def _ends_early(self, packets: int, end: Fraction) -> bool:
        name = self._container.format.name
        if name.startswith("mov"):
            return packets < len(self._stream.index_entries)
        # Elsewhere FFmpeg's duration is a guess, or measured from what is there.
        if name.startswith("matroska") and self._container.duration is not None:
            start = self._container.start_time or 0
            declared = Fraction(start + self._container.duration, av.time_base)
            # Times are rounded, and some writers leave the last frame's duration out.
            return end < declared - max(Fraction(1, 10), 2 / self.rate)
        return False


class FilmWriter:
    """Writes `Frame`s to a film; use as a context manager, and `finish` inside.

    The film appears, complete, on `finish`; leaving the block without it leaves nothing behind.
    H.264 codes frames of odd width or height as 4:4:4, as its 4:2:0 knows even sizes only.

    path: its extension (a key of `CONTAINERS`) decides container and codec. time_base: seconds
    per unit of `Frame.pts`. rate: nominal frames per second; the timestamps rule.
    copy_from: the film whose audio, subtitles, attachments, chapters and metadata are kept.
    cut: these end where the pictures end, and chapters are left out; otherwise all is copied.
    comment: stored in the film's metadata.

    dropped: what the container could not hold of `copy_from`, in words (never audio).
    Raises `UserError` if it cannot hold the audio, or cannot be written.
    """

    live = False

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        time_base: Fraction,
        rate: Fraction,
        sample_aspect_ratio: Fraction = Fraction(1),
        color: Color = REC709,
        copy_from: str | os.PathLike | None = None,
        cut: bool = False,
        comment: str = "",
    ):
        self.path = Path(path)
        self._cut = cut
        self._time_base = time_base
        self._color = color
        self._partial = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._last: Frame | None = None
        muxer, codec, options = CONTAINERS[self.path.suffix.lower()]
        # VP9 itself has no aspect ratio, and PyAV no access to WebM's.
        if muxer == "webm" and abs(sample_aspect_ratio - 1) > Fraction(1, 100):
            raise UserError(
                f"{self.path}: a .webm has square pixels, these are {sample_aspect_ratio} wide; "
                "write to a .mp4 or .mkv, or give a --size with the shape of the screen"
            )
        muxer_options = {"movflags": "+faststart"} if muxer in ("mp4", "mov") else {}
        self._output = av.open(
            ffmpeg_name(self._partial), "w", muxer, container_options=muxer_options
        )
        self._video = cast(
            av.VideoStream, self._output.add_stream(codec, rate, options, time_base=time_base)
        )
        self._video.disposition = Disposition.default
        context = self._video.codec_context
        context.sample_aspect_ratio = sample_aspect_ratio
        context.colorspace, context.color_range = color.matrix, ColorRange.MPEG
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        # So that the last frame, too, lasts as long as it says.
        context.flags |= Flags.frame_duration
        self._copy = StreamCopy(copy_from, self._output, chapters=not cut) if copy_from else None
        self.dropped = self._copy.dropped if self._copy else []
        comments = [self._output.metadata.get("comment"), comment]
        self._output.metadata["comment"] = "; ".join(filter(None, comments))

    def write(self, frame: Frame) -> None:
        """Appends a frame. Raises `UserError` if its size differs from the first one's."""
        height, width = frame.rgb.shape[:2]
        context = self._video.codec_context
        if self._last is None:
            self._begin(width, height)
        elif (width, height) != (context.width, context.height):
            size = f"{context.width}x{context.height}"
            raise UserError(
                f"{self.path}: a frame is {width}x{height}, the ones before it {size}; "
                f"--size={size} makes them equal"
            )
        else:
            # Encoders refuse equal timestamps, which coarse clocks (webcams) do produce.
            frame = dataclasses.replace(frame, pts=max(frame.pts, self._last.pts + 1))
        picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24").reformat(
            format=context.pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=_SWSCALE_MATRIX[self._color.matrix],
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT | Interpolation.FULL_CHR_H_INP,
        )
        picture.pts, picture.duration = frame.pts, frame.duration
        picture.time_base = self._time_base
        self._last = frame
        with self._disk_errors():
            if self._copy:
                self._copy.advance(frame.pts * self._time_base)
            self._output.mux(self._video.encode(picture))

    def _begin(self, width: int, height: int) -> None:
        context = self._video.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        if context.name == "libx264" and (width % 2 or height % 2):
            context.pix_fmt = "yuv444p"
            # x264 codes full-resolution chroma that much coarser, which shifts flat colours.
            context.options |= {"chromaoffset": "-6"}

    def finish(self) -> None:
        """Completes the film. Raises `UserError` if not one frame was written."""
        if self._last is None:
            raise UserError(f"{self.path}: not one frame to write")
        end = (self._last.pts + self._last.duration) * self._time_base
        with self._disk_errors():
            self._output.mux(self._video.encode(None))
            if self._copy:
                self._copy.finish(end if self._cut else None)
            self._output.close()
            move_whole(self._partial, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy:
            self._copy.close()
        with contextlib.suppress(OSError, av.FFmpegError):
            self._output.close()
        self._partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error


def _fraction(value: AVRational | None) -> Fraction:
    """PyAV's rationals, None and 0/0 as a Fraction; unknown is 0."""
    if not value or not value.denominator:
        return Fraction(0)
    return Fraction(value.numerator, value.denominator)


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _estimated_frames(
    container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction
) -> int | None:
    if stream.duration:
        return round(stream.duration * stream.time_base * rate)
    if container.duration:
        return round(Fraction(container.duration, av.time_base) * rate)
    return None


def _matrix(tagged: int, width: int, height: int) -> int:
    """The YUV matrix of a picture; where it is not tagged, the one that players assume for it."""
    if tagged in _SWSCALE_MATRIX:
        return SMPTE170M if tagged == BT470BG else tagged
    return BT709 if width >= 1280 or height > 576 else SMPTE170M


def _color(context: av.VideoCodecContext, frame: av.VideoFrame) -> Color:
    """The colours of a film, untagged properties resolved as players do, by its size."""
    primaries, transfer = context.color_primaries, context.color_trc
    if primaries in (0, UNSPECIFIED):
        analogue = {480: SMPTE170M, 486: SMPTE170M, 576: BT470BG}
        primaries = analogue.get(frame.height, BT709)
    if transfer in (0, UNSPECIFIED):
        transfer = BT709
    matrix = BT709 if _is_rgb(frame) else _matrix(frame.colorspace, frame.width, frame.height)
    return Color(matrix, primaries, transfer)


def _is_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.colorspace == _RGB_MATRIX


def _orientation(frame: av.VideoFrame) -> np.ndarray:
    """The frame's display matrix as int [2, 2], each entry -1, 0 or 1; x' = m[0] @ (x, y).

    FFmpeg stores (a, b, u, c, d, v, x, y, w) with x' = a x + c y, y' = b x + d y, in 16.16 fixed
    point. Angles between quarter turns, which no camera writes, go to the nearest one.
    """
    side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if side_data is None:
        return np.eye(2, dtype=int)
    a, b, _, c, d = np.frombuffer(side_data, np.int32)[:5]
    if abs(int(a)) >= abs(int(b)):
        return np.diag(np.sign([a, d]))
    return np.fliplr(np.diag(np.sign([c, b])))


def _oriented(rgb: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    if orientation[0, 0] == 0:
        rgb = rgb.transpose(1, 0, 2)
    flip_x, flip_y = orientation.sum(axis=1) < 0
    return rgb[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
