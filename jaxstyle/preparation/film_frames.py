"""One film, from its frames to a shard of a data set, two contact sheets and a JSON file."""

import collections
import dataclasses
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.media.file_types import SAVE_OPTIONS
from jaxstyle.media.film import FilmReader
from jaxstyle.preparation.black_bars import Bars, film_bars
from jaxstyle.preparation.blank import blank_kind, contrast, fading
from jaxstyle.preparation.credits import is_text_frame
from jaxstyle.preparation.duplicates import SeenFrames, perceptual_hash
from jaxstyle.preparation.frame_sheet import contact_sheet, thumbnail, time_code
from jaxstyle.preparation.records import write_shard
from jaxstyle.preparation.shots import split_into_shots
from jaxstyle.preparation.windows import FilmFrame, sharpest_of_windows, sharpness

SHARD, RECORD = "frames.array_record", "film.json"
# Longer sides, in pixels, of what is looked at: for sharpness and text, and for cuts.
_MEDIUM, _SMALL = 640, 320
_SQUARE_ENOUGH = 0.01


@dataclasses.dataclass(frozen=True)
class Options:
    """What decides which frames a film gives, and how they are kept.

    every: length of a window, in seconds. size: the shorter side of frames in pixels at most, or
    None. image_format: "jpeg" or "png". quality: of JPEG, 1 to 100. duplicates: how many of 64 bits
    of their perceptual hashes may differ in frames that count as the same.
    """

    every: float = 2.0
    size: int | None = None
    image_format: str = "jpeg"
    quality: int = 95
    duplicates: int = 6


@dataclasses.dataclass
class _Candidate:
    """The sharpest frame of a window. dropped: why it is not kept, or None.

    offset, length: where its encoded image is in a file. size: (width, height) of that.
    """

    number: int
    seconds: float
    shot: int
    sharpness: float
    hash_bits: int
    thumbnail: bytes
    offset: int
    length: int
    size: tuple[int, int]
    dropped: str | None


def prepare_film(
    path: Path, name: str, folder: Path, options: Options, progress: Callable[[int], None]
) -> None:
    """Writes what is kept of a film into a folder: `SHARD`, `RECORD`, kept.jpg and dropped.jpg.

    name: of the film, in examples and titles. progress: told of frames that are done. Raises
    `UserError` if the film is damaged: then its pictures are not to be trusted.
    """
    bars = film_bars(path)
    with tempfile.TemporaryFile(dir=folder) as images, FilmReader(path) as film:
        aspect = float(film.sample_aspect_ratio)
        # Such as 224/225, which is not worth resampling for.
        aspect = aspect if abs(aspect - 1) > _SQUARE_ENOUGH else 1.0
        survey = _Survey(path, film, bars, progress)
        candidates = [
            _candidate(frame, shot, images, options, aspect)
            for shot, frame in sharpest_of_windows(survey.frames(), options.every)
        ]
        fades = fading(np.array(survey.contrasts), np.array(survey.shots), film.rate)
        _drop_fades_and_duplicates(candidates, fades, options.duplicates)
        kept = [candidate for candidate in candidates if candidate.dropped is None]
        dropped = [candidate for candidate in candidates if candidate.dropped is not None]
        write_shard(folder / SHARD, _examples(kept, name, images), options.image_format)
    _write_sheets(folder, name, kept, dropped)
    record = {
        "fps": str(film.rate),
        "frames": len(survey.shots),
        "frame_size": list(film.size),
        "pixel_aspect_ratio": str(film.sample_aspect_ratio),
        "bars": dataclasses.asdict(bars),
        "shots": _shot_ranges(survey.shots),
        "dropped": dict(sorted(collections.Counter(c.dropped for c in dropped).items())),
        "kept": [_kept(candidate, bars, film.size) for candidate in kept],
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1))


class _Survey:
    """Frames of a film, with their shots, as they come; what is known of all of them afterwards."""

    def __init__(self, path: Path, film: FilmReader, bars: Bars, progress: Callable[[int], None]):
        self._path, self._film, self._bars, self._progress = path, film, bars, progress
        self.contrasts: list[float] = []
        self.shots: list[int] = []

    def frames(self) -> Iterator[tuple[int, FilmFrame]]:
        for shot, frame in split_into_shots(self._measured(), _small_picture, self._film.rate):
            self.contrasts.append(frame.contrast)
            self.shots.append(shot)
            yield shot, frame

    def _measured(self) -> Iterator[FilmFrame]:
        start = None
        for number, frame in enumerate(self._film):
            height, width = frame.rgb.shape[:2]
            if (width, height) != self._film.size:
                raise UserError(
                    f"{self._path} changes its frame size at frame {number}; "
                    "convert it to one size first"
                )
            start = frame.pts if start is None else start
            rgb = self._bars.crop(frame.rgb)
            medium = _at_most(rgb, _MEDIUM)
            grey = cv2.cvtColor(medium, cv2.COLOR_RGB2GRAY)
            yield FilmFrame(
                number=number,
                seconds=float((frame.pts - start) * self._film.time_base),
                rgb=rgb,
                medium=medium,
                sharpness=sharpness(grey),
                contrast=contrast(grey),
            )
            self._progress(1)


def _small_picture(frame: FilmFrame) -> np.ndarray:
    return _at_most(frame.medium, _SMALL)


def output_size(size: tuple[int, int], aspect: float, shorter: int | None) -> tuple[int, int]:
    """(width, height) of a frame with square pixels whose shorter side is `shorter` at most.

    size: of the frame, aspect: of its pixels, width by height. Pixels are never squeezed, so the
    side that they are short in grows.
    """
    width, height = size[0] * max(1.0, aspect), size[1] * max(1.0, 1 / aspect)
    scale = min(1.0, shorter / min(width, height)) if shorter else 1.0
    return max(1, round(width * scale)), max(1, round(height * scale))


def _candidate(
    frame: FilmFrame, shot: int, images: BinaryIO, options: Options, aspect: float
) -> _Candidate:
    grey = cv2.cvtColor(frame.medium, cv2.COLOR_RGB2GRAY)
    dropped = blank_kind(frame.medium) or ("text" if is_text_frame(grey) else None)
    height, width = frame.rgb.shape[:2]
    size = output_size((width, height), aspect, options.size)
    encoded = b"" if dropped else _encoded(_resized(frame.rgb, size), options)
    offset = images.tell()
    images.write(encoded)
    return _Candidate(
        number=frame.number,
        seconds=frame.seconds,
        shot=shot,
        sharpness=frame.sharpness,
        hash_bits=perceptual_hash(grey),
        thumbnail=thumbnail(_resized(frame.medium, output_size(size, 1.0, _SMALL))),
        offset=offset,
        length=len(encoded),
        size=size,
        dropped=dropped,
    )


def _drop_fades_and_duplicates(
    candidates: list[_Candidate], fades: np.ndarray, tolerance: int
) -> None:
    """Says so in the candidates. Fades first: none of them is what a duplicate is dropped for."""
    seen = SeenFrames(tolerance)
    for candidate in candidates:
        if candidate.dropped:
            continue
        if fades[candidate.number]:
            candidate.dropped = "fade"
        elif seen.has_like(candidate.hash_bits):
            candidate.dropped = "duplicate"
        else:
            seen.add(candidate.hash_bits)


def _examples(kept: list[_Candidate], name: str, images: BinaryIO) -> Iterator[dict[str, Any]]:
    for candidate in kept:
        images.seek(candidate.offset)
        yield {
            "image": images.read(candidate.length),
            "film": name,
            "frame": candidate.number,
            "time": candidate.seconds,
        }


def _kept(candidate: _Candidate, bars: Bars, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    return {
        "frame": candidate.number,
        "time": round(candidate.seconds, 4),
        "time_code": time_code(candidate.seconds),
        "shot": candidate.shot,
        "sharpness": round(candidate.sharpness, 2),
        # Left, top, width, height, in pixels of the film.
        "crop": [
            bars.left,
            bars.top,
            width - bars.left - bars.right,
            height - bars.top - bars.bottom,
        ],
        "size": list(candidate.size),
    }


def _shot_ranges(shots: list[int]) -> list[list[int]]:
    """The first frame of each shot, and the one after its last."""
    starts = np.flatnonzero(np.diff(shots, prepend=-1)).tolist()
    return [list(pair) for pair in zip(starts, [*starts[1:], len(shots)], strict=True)]


def _write_sheets(
    folder: Path, name: str, kept: list[_Candidate], dropped: list[_Candidate]
) -> None:
    cells = [(c.thumbnail, time_code(c.seconds)) for c in kept]
    (folder / "kept.jpg").write_bytes(contact_sheet(f"{name}: kept {len(kept)}", cells))
    cells = [(c.thumbnail, f"{time_code(c.seconds)} {c.dropped}") for c in dropped]
    (folder / "dropped.jpg").write_bytes(contact_sheet(f"{name}: dropped {len(dropped)}", cells))


def _at_most(rgb: np.ndarray, longer: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = longer / max(width, height)
    if scale >= 1:
        return rgb
    return _resized(rgb, (max(1, round(width * scale)), max(1, round(height * scale))))


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = rgb.shape[:2]
    if size == (width, height):
        return rgb
    shrinks = size[0] * size[1] < width * height
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _encoded(rgb: np.ndarray, options: Options) -> bytes:
    data = io.BytesIO()
    settings = dict(SAVE_OPTIONS[f".{options.image_format}"])
    if options.image_format == "jpeg":
        settings["quality"] = options.quality
    Image.fromarray(np.ascontiguousarray(rgb)).save(data, options.image_format, **settings)
    return data.getvalue()
