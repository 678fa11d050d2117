"""Frames of films by number, exactly, for random-access loading."""

import bisect
import collections
import dataclasses
import logging
import os
import threading
from collections.abc import Sequence

import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.film import open_film, upright_rgb
from jaxstyle.media.images import ImageSequence
from jaxstyle.media.pyav import av

# An open decoder holds a file handle and some tens of megabytes.
_MAX_OPEN_FILMS = 8

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FilmIndex:
    """pts: int64 [frames], ascending, of every frame. keyframes: int64, the pts to seek to."""

    pts: np.ndarray
    keyframes: np.ndarray


def index_film(path: str | os.PathLike) -> FilmIndex:
    """Indexes a film by reading its packets; decodes only where packets carry no timestamps.

    Raises `UserError` if there is no film, or nowhere any timestamps.
    """
    container, stream = open_film(path)
    with container:
        pts: list[int | None] = []
        keyframes: list[int | None] = []
        try:
            for packet in container.demux(stream):
                # Before the first keyframe nothing decodes; edit lists mark frames as discarded.
                if not packet.size or not (keyframes or packet.is_keyframe):
                    continue
                if packet.is_keyframe:
                    keyframes.append(packet.pts)
                if not packet.is_discard:
                    pts.append(packet.pts)
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged: {error.strerror}") from error
    times = [t for t in pts if t is not None]
    starts = [t for t in keyframes if t is not None]
    if len(starts) < len(keyframes) or len(set(times)) < len(pts):
        times, starts = _timestamps_by_decoding(path)
    if not times:
        raise UserError(f"{path} has no pictures that can be decoded")
    return FilmIndex(np.array(sorted(times), np.int64), np.array(sorted(starts), np.int64))


def _timestamps_by_decoding(path: str | os.PathLike) -> tuple[list[int], list[int]]:
    container, stream = open_film(path)
    with container:
        try:
            frames = [(frame.pts, frame.key_frame) for frame in container.decode(stream)]
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged: {error.strerror}") from error
    pts = [t for t, _ in frames if t is not None]
    if len(set(pts)) < len(frames):
        raise UserError(f"{path} has no timestamps to find frames by; convert it to .mkv first")
    return pts, [t for t, is_key in frames if is_key and t is not None]


class VideoFrames(ImageSequence):
    """The frames of one film, or of several one after the other: `frames[i]` is uint8 [H, W, 3].

    RGB, upright, as a player shows them; the same pixels whichever order they are asked for.
    Neighbouring indices in ascending order are cheap: the decoder stays where it was.
    Pickles as paths and timestamps; each process and thread opens films of its own.

    Films that cannot be opened are left out and reported once. Raises `UserError` if that is all of
    them, and at a frame that cannot be decoded.

    Attributes:
      paths: the films that are read.
      skipped: the films that were left out.
    """

    def __init__(self, paths: str | os.PathLike | Sequence[str | os.PathLike]):
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        self.paths: list[str] = []
        self.skipped: list[str] = []
        self._indices: list[FilmIndex] = []
        first_error: UserError | None = None
        for path in [os.fspath(path) for path in paths]:
            try:
                self._indices.append(index_film(path))
            except UserError as error:
                self.skipped.append(path)
                if len(self.skipped) == len(paths):
                    raise
                first_error = first_error or error
            else:
                self.paths.append(path)
        if self.skipped:
            logger.warning(
                "skipped %d broken of %d films, the first: %s",
                len(self.skipped),
                len(paths),
                first_error,
            )
        self._ends = np.cumsum([len(index.pts) for index in self._indices]).tolist()
        self._local = threading.local()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(len(self))[i]
        film = bisect.bisect_right(self._ends, i)
        first = self._ends[film - 1] if film else 0
        return self._decoder(film).frame(i - first)

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._local = threading.local()

    def _decoder(self, film: int) -> "_Decoder":
        # A forked child shares its parent's file positions: it must not share its decoders.
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process = os.getpid()
            self._local.decoders = collections.OrderedDict()
        decoders = self._local.decoders
        if film not in decoders:
            if len(decoders) == _MAX_OPEN_FILMS:
                decoders.popitem(last=False)[1].close()
            decoders[film] = _Decoder(self.paths[film], self._indices[film])
        decoders.move_to_end(film)
        return decoders[film]


class _Decoder:
    """One open film, at some position."""

    def __init__(self, path: str, index: FilmIndex):
        self._path = path
        self._index = index
        self._open()
        self._position = -1  # the number of the last frame decoded
        self._last: np.ndarray | None = None

    def _open(self) -> None:
        self._container, self._stream = open_film(self._path)
        self._frames = self._container.decode(self._stream)

    def frame(self, i: int) -> np.ndarray:
        """The i-th frame, uint8 [H, W, 3]."""
        target = int(self._index.pts[i])
        if i == self._position and self._last is not None:
            return self._last.copy()
        key = int(np.searchsorted(self._index.keyframes, target, side="right")) - 1
        ahead = self._position >= 0 and self._position < i
        passed_key = key >= 0 and self._index.keyframes[key] > self._index.pts[self._position]
        seek = not ahead or passed_key
        self._position = -1  # unknown, should decoding raise
        found = self._seek_and_decode(key, target) if seek else self._decode_to(target)
        if found is None:
            raise UserError(f"frame {i} of {self._path} cannot be decoded; is the file damaged?")
        self._position, self._last = i, upright_rgb(found)
        return self._last.copy()

    def _seek_and_decode(self, key: int, target: int) -> av.VideoFrame | None:
        # Demuxers without an index (MPEG-TS) may land after the keyframe asked for: then an earlier
        # one, at last the beginning.
        while key > 0:
            self._container.seek(int(self._index.keyframes[key]), stream=self._stream)
            self._frames = self._container.decode(self._stream)
            found = self._decode_to(target)
            if found is not None:
                return found
            key -= 1
        self.close()
        self._open()
        return self._decode_to(target)

    def _decode_to(self, target: int) -> av.VideoFrame | None:
        try:
            for frame in self._frames:
                if frame.pts is not None and frame.pts >= target:
                    return frame if frame.pts == target else None
        except av.FFmpegError as error:
            raise UserError(f"{self._path} is damaged: {error.strerror}") from error
        return None

    def close(self) -> None:
        """Closes the file."""
        self._container.close()
