"""Cameras and streams, which come back after a loss: unplugged, stalled, restarted at another size.

A thread reads the device, as a read can block for good, and keeps only the newest picture.
"""

import contextlib
import functools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame, upright_rgb
from jaxstyle.media.pyav import AVRational, Flags, av

STREAM_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")

# Until the first picture; a stream shows nothing before its next key frame.
_OPEN_S = 15.0
_STALL_S = 5.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 8.0
# How long `close` waits for the device to be free again.
_RELEASE_S = 1.0

# FFmpeg's own "nobuffer" is left out: it throws away the key frame it has looked at, and the first
# picture comes one key frame interval later. Here old pictures are dropped anyway.
_STREAM_OPTIONS = {
    "analyzeduration": "500000",  # microseconds
    "rtsp_flags": "prefer_tcp",
    "allowed_media_types": "video",
    "overrun_nonfatal": "1",  # of UDP's buffer
    "reconnect": "1",  # in the middle of a film on a web server
}
# They come in bursts of some seconds' pictures.
_SEGMENTED_FORMATS = ("hls", "dash")


class _Lost(Exception):
    """No more pictures will come; the message says why, to follow the name of the source."""


class _Ended(_Lost):
    """The other side has said that this was all."""


class _Picture(NamedTuple):
    """at: when it was taken, in seconds. rgb: makes the uint8 [H, W, 3]; only if it is wanted."""

    at: float
    rgb: Callable[[], np.ndarray]


class _Device(Protocol):
    """What `_Connection` reads, all of it on one thread. Any method may block; `_Lost` ends it."""

    live: bool
    rate: Fraction
    total: int | None

    def pictures(self) -> Iterator[_Picture]: ...
    def close(self) -> None: ...


class _Connection:
    """A device from its opening to its loss, on a thread of its own.

    A call that blocks cannot be interrupted: the thread is left behind, and frees the device when
    the call returns.

    device: what it has opened, there from the first picture on.
    """

    device: _Device

    def __init__(self, open_device: Callable[[], _Device]):
        self._picture: _Picture | None = None
        self._error: Exception | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._read, args=(open_device,), name="live source", daemon=True
        )
        self._thread.start()

    def take(self, timeout: float) -> _Picture:
        """The newest picture nobody has taken; raises `_Lost` if none comes in `timeout` s."""
        with self._changed:
            self._changed.wait_for(lambda: self._picture or self._error or self._stopped, timeout)
            if self._picture is None:
                raise self._error or _Lost(f"has sent nothing for {timeout:g} s")
            picture, self._picture = self._picture, None
            self._changed.notify_all()
            return picture

    def stop(self, patience: float = 0.0) -> None:
        """Has the thread end and free the device; waits up to `patience` seconds for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(patience)

    def _read(self, open_device: Callable[[], _Device]) -> None:
        error: Exception = _Ended("has ended")
        try:
            with contextlib.closing(open_device()) as device:
                self.device = device
                for picture in device.pictures():
                    if not self._put(picture, keep=not device.live):
                        break
        except Exception as raised:
            error = raised
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _put(self, picture: _Picture, *, keep: bool) -> bool:
        """Whether more are wanted. keep: waits for the one before to be taken."""
        with self._changed:
            if keep:
                self._changed.wait_for(lambda: self._stopped or self._picture is None)
            self._picture = picture
            self._changed.notify_all()
            return not self._stopped


class LiveSource:
    """A device that is opened again whenever it is lost; the base of cameras and streams.

    Losses and returns are told on stderr, a line each. Only `close`, from any thread, ends the
    iteration. pts: milliseconds since the first frame, also across losses.

    name: what messages call it. rate: nominal frames per second. size: (width, height) of the
    newest frame. taken_at: when that was received, by `time.monotonic`, if the source is live.
    reconnects: how often it came back. Raises `UserError` if it cannot be opened
    the first time.
    """

    total: int | None = None
    time_base = Fraction(1, 1000)

    def __init__(self, name: str, open_device: Callable[[], _Device], advice: str):
        self.name = name
        self.reconnects = 0
        self._open_device = open_device
        self._closed = threading.Event()
        self._connection = _Connection(open_device)
        try:
            self._first = self._connection.take(_OPEN_S)
        except _Lost as error:
            self._connection.stop(_RELEASE_S)
            raise UserError(f"{name} {error}; {advice}") from None
        self.live = self._connection.device.live
        self.rate = self._connection.device.rate
        self.size = _size(self._first.rgb())
        self.taken_at = self._first.at

    def __iter__(self) -> Iterator[Frame]:
        start = None
        for picture in self._pictures():
            start = picture.at if start is None else start
            rgb = picture.rgb()
            self.size = _size(rgb)
            self.taken_at = picture.at
            yield Frame(rgb, round((picture.at - start) * 1000), round(1000 / self.rate))

    def close(self) -> None:
        """Ends the iteration and frees the device, at once unless a call to it is blocked."""
        self._closed.set()
        self._connection.stop(_RELEASE_S)

    def _pictures(self) -> Iterator[_Picture]:
        if not self.live:
            yield self._first  # a live one's is old by now
        while not self._closed.is_set():
            try:
                picture = self._connection.take(_STALL_S)
            except _Lost as error:
                if self._closed.is_set() or (not self.live and isinstance(error, _Ended)):
                    return
                if not self.live:
                    raise UserError(f"{self.name} {error}; the film is not complete") from None
                first = self._come_back(error)
                if first is None:
                    return
                picture = first
            yield picture

    def _come_back(self, why: _Lost) -> _Picture | None:
        """The first picture of the next connection that has one; None after `close`."""
        _say(f"{self.name} {why}; waiting for it to come back")
        self._connection.stop()
        delay = _FIRST_DELAY_S
        while not self._closed.wait(delay):
            delay = min(2 * delay, _LONGEST_DELAY_S)
            self._connection = _Connection(self._open_device)
            if self._closed.is_set():  # `close` may have stopped the one before
                self._connection.stop()
            try:
                picture = self._connection.take(_OPEN_S)
            except _Lost:
                self._connection.stop()
                continue
            self.reconnects += 1
            size = _size(picture.rgb())
            change = "" if size == self.size else f", now {size[0]}x{size[1]}"
            _say(f"{self.name} is back{change}")
            return picture
        return None


class CameraSource(LiveSource):
    """A camera, by its number or, on Linux, its path (/dev/video2, /dev/v4l/by-id/...).

    size: (width, height), and fps: frames per second, to ask the camera for; what it gives
    instead is told on stderr. Raises `UserError` if there is no such camera.
    """

    def __init__(
        self,
        camera: int | str,
        size: tuple[int, int] | None = None,
        fps: Fraction | None = None,
    ):
        super().__init__(
            f"camera {camera}",
            functools.partial(_Camera, camera, size, fps),
            "is it plugged in, and free to use?",
        )
        if (size and size != self.size) or (fps and abs(fps - self.rate) > Fraction(1, 2)):
            _say(
                f"{self.name} gives {self.size[0]}x{self.size[1]} at {float(self.rate):g} frames/s,"
                " not what it was asked for"
            )


class StreamSource(LiveSource):
    """A network stream by its URL; its scheme is one of `STREAM_SCHEMES`.

    A film on a web server is not live: every frame comes, and the iteration ends where it ends;
    it raises `UserError` where the server breaks off.

    Raises `UserError` if there is nothing to receive.
    """

    def __init__(self, url: str):
        scheme = url.partition("://")[0].lower()
        if scheme not in STREAM_SCHEMES:
            known = ", ".join(STREAM_SCHEMES)
            raise UserError(f"no streams over {scheme}:// are known; there are: {known}")
        super().__init__(
            without_secrets(url),
            functools.partial(_Stream, url),
            "is the address right, and is anything being sent there?",
        )
        if not self.live:
            self.total = self._connection.device.total


def without_secrets(url: str) -> str:
    """The URL as messages may show it: without its password, and without its query's values."""
    # Up to the last @, as people do not escape the ones in their passwords.
    url = re.sub(r"(?<=://)([^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"\?.*", "?***", url)


class _Camera:
    live = True
    total: int | None = None

    def __init__(self, camera: int | str, size: tuple[int, int] | None, fps: Fraction | None):
        # Its backends would say in several lines what we say in one. For good, as reads log, too.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        backend = cv2.CAP_ANY if isinstance(camera, int) else cv2.CAP_V4L2
        try:
            self._capture = cv2.VideoCapture(camera, backend)
        except cv2.error as error:
            raise _Lost("cannot be opened") from error
        if not self._capture.isOpened():
            raise _Lost("cannot be opened")
        if size or fps:
            self._ask_for(size, fps)
            # Uncompressed, large pictures do not fit through USB at their full rate.
            if 0 < self._capture.get(cv2.CAP_PROP_FPS) < (fps or 30):
                self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
                self._ask_for(size, fps)
        # The driver would otherwise hand out frames that have waited in its queue.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.rate = _plausible(Fraction(self._capture.get(cv2.CAP_PROP_FPS)))

    def _ask_for(self, size: tuple[int, int] | None, fps: Fraction | None) -> None:
        if size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if fps:
            self._capture.set(cv2.CAP_PROP_FPS, float(fps))

    def pictures(self) -> Iterator[_Picture]:
        while True:
            try:
                ok, bgr = self._capture.read()
            except cv2.error as error:
                raise _Lost(f"sends what cannot be read ({error.err})") from error
            if not ok:
                raise _Lost("has stopped delivering pictures")
            rgb = functools.partial(cv2.cvtColor, bgr, cv2.COLOR_BGR2RGB)
            yield _Picture(time.monotonic(), rgb)

    def close(self) -> None:
        self._capture.release()


class _Stream:
    def __init__(self, url: str):
        try:
            self._container = av.open(url, options=_STREAM_OPTIONS, timeout=(_OPEN_S, _STALL_S))
        except av.FFmpegError as error:
            raise _Lost(f"cannot be opened ({_reason(error)})") from error
        video = self._container.streams.best("video")
        if not isinstance(video, av.VideoStream) or video.codec_context is None:
            self._container.close()
            raise _Lost("has no pictures that this FFmpeg can decode")
        self._video = video
        on_web = url.lower().startswith("http")
        self.live = not (on_web and self._container.duration)
        self.rate = _plausible(self._video.average_rate, self._video.guessed_rate)
        self.total = self._video.frames or None
        if self.live:
            # Threads that decode whole frames would each hold one back.
            self._video.thread_type = "SLICE"
            self._video.codec_context.flags |= Flags.low_delay
        self._paced = self.live and self._container.format.name in _SEGMENTED_FORMATS

    def pictures(self) -> Iterator[_Picture]:
        start = None
        for number, frame in enumerate(self._decoded()):
            at = time.monotonic()
            # Old containers have no timestamps: the frame rate stands in.
            shown = number / float(self.rate) if frame.time is None else frame.time
            if not self.live:
                at = shown
            elif self._paced:
                # Where it cannot keep up, or timestamps jump, time starts anew.
                if start is None or not at - _STALL_S < start + shown < at + _STALL_S:
                    start = at - shown
                time.sleep(max(0.0, start + shown - at))
                at = time.monotonic()
            yield _Picture(at, functools.partial(upright_rgb, frame))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._container.demux(self._video):
                # What was damaged on its way is mended by the next key frame.
                with contextlib.suppress(*([av.InvalidDataError] if self.live else [])):
                    yield from packet.decode()
        except av.FFmpegError as error:
            raise _Lost(f"has broken off ({_reason(error)})") from error

    def close(self) -> None:
        self._container.close()


def _reason(error: av.FFmpegError) -> str:
    if isinstance(error, av.error.ExitError):
        return "no answer"  # FFmpeg's word for a timeout would be "Immediate exit requested"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return "this FFmpeg was built without that protocol"
    return str(error.strerror)


def _plausible(*rates: AVRational | Fraction | None) -> Fraction:
    """The first frame rate a device can mean: drivers also report 0, and streams their clock's."""
    for rate in rates:
        if rate and rate.denominator and 1 <= Fraction(rate.numerator, rate.denominator) <= 240:
            return Fraction(rate.numerator, rate.denominator).limit_denominator(1001)
    return Fraction(30)


def _size(rgb: np.ndarray) -> tuple[int, int]:
    return rgb.shape[1], rgb.shape[0]


def _say(text: str) -> None:
    # Not print: it would run into the progress bar's line.
    tqdm.write(text, file=sys.stderr)
