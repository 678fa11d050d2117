"""Style made by a teacher, a slow model or a painter, whose results a fast model learns."""

import collections
import dataclasses
import hashlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxstyle.data.pairs import key_frames
from jaxstyle.data.sources import Source
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, one_process_at_a_time, write_whole
from jaxstyle.guides import painters
from jaxstyle.guides.painters.color_transport import art_colors
from jaxstyle.guides.painters.matching import matched, statistics_of
from jaxstyle.inference.engine import State, Stylizer, initial_state
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.open_model import open_model
from jaxstyle.inference.settings import Settings
from jaxstyle.media.images import ImageSequence, read_image

# Results in memory that wait to be written.
_WAITING = 8
# Of what is painted, so many pictures say what its colours and contrasts are.
_MOST_COUNTED = 100


class Taught(ImageSequence):
    """A teacher's results: `images[i]` is uint8 [H, W, 3], as large as content frame i.

    Pickles as paths. Raises `UserError` at a file that is damaged or gone.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> np.ndarray:
        return read_image(self.paths[range(len(self))[i]])


def taught(
    content: Source,
    teacher: str | os.PathLike,
    style_images: Sequence[np.ndarray] | None,
    cache_dir: str | os.PathLike,
    *,
    style: int = 0,
) -> Taught:
    """What `teacher` makes of every content frame: a style source that is paired with `content`.

    Results are PNG files below `cache_dir`/teacher, in a folder for the teacher with its style, by
    the pixels of their frames. They are computed once: what is there already, also from a run that
    was cut off or had other content, is kept. Frames may differ in size, and a new size compiles.

    Args:
      content: the frames.
      teacher: a bundle of an image generator, as `find_model` takes it.
      style_images: uint8 [H, W, 3] of any size, for a teacher that takes its style from an image.
      cache_dir: the folder.
      style: which of the teacher's styles, or of the style images.

    Raises:
      UserError: no such bundle, or one that needs other style images; or a file that cannot be
        written.
    """
    style_images = list(style_images or [])
    stylizer = Stylizer(open_model(teacher), style_images=style_images)
    if not 0 <= style < len(stylizer.styles):
        raise UserError(f"{teacher} has {len(stylizer.styles)} styles, counted from 0; no {style}")
    content_of_teacher = find_model(teacher).read_bytes()
    identity = [content_of_teacher, *map(_with_shape, style_images), str(style).encode()]
    settings = Settings(style=style)
    state: State | None = None

    def stylized(frame: np.ndarray) -> jax.Array:
        nonlocal state
        if state is None or state.frame.shape != frame.shape:
            state = initial_state(*frame.shape[:2])
        state, result = stylizer.step(state, frame[None], settings)
        return result

    return _kept(content, stylized, identity, cache_dir, str(teacher))


def painted(
    content: Source,
    painter: str,
    cache_dir: str | os.PathLike,
    *,
    art: ImageSequence | Sequence[np.ndarray] = (),
    colours: float = 1.0,
    contrasts: float = 1.0,
) -> Taught:
    """What a painter makes of every content frame, kept as in `taught`.

    Args:
      content: the frames.
      painter: a name in `painters.PAINTERS`.
      cache_dir: the folder.
      art: uint8 [H, W, 3], pictures that what is painted is to be `matched` to, if any.
      colours: how far, see `matched`.
      contrasts: the same. With other content, which has other statistics, all is matched anew.

    Raises:
      UserError: a file that cannot be written.
    """
    paint = painters.PAINTERS[painter]
    who = f"painter {painter}"
    identity = [f"{who} {painters.VERSION}".encode()]
    results = _kept(content, lambda frame: _painted_by(paint, frame), identity, cache_dir, who)
    if not art:
        return results
    some = key_frames(results, min(len(results), _MOST_COUNTED))
    source, target = statistics_of(some), statistics_of(art)
    identity.append(f"{colours} {contrasts}".encode())
    for statistics in (source, target):
        identity += [part.tobytes() for part in dataclasses.astuple(statistics)]

    def match(image: np.ndarray) -> np.ndarray:
        return matched(image, source, target, colours=colours, contrasts=contrasts)

    return _kept(
        results, lambda frame: _painted_by(match, frame), identity, cache_dir, f"{who}, matched"
    )


def painted_from_art(
    content: Source,
    look: str,
    cache_dir: str | os.PathLike,
    *,
    art: ImageSequence | Sequence[np.ndarray],
) -> Taught:
    """What a painter that takes its colours from art makes of every frame, kept as in `taught`.

    Args:
      content: the frames; what their colours become depends on all of them, see `art_colors`.
      look: a name in `painters.ART_LOOKS`.
      cache_dir: the folder.
      art: uint8 [H, W, 3], at least one picture.

    Raises:
      UserError: a file that cannot be written.
    """
    paint = painters.ART_LOOKS[look]
    some = key_frames(content, min(len(content), _MOST_COUNTED))
    colors = art_colors(some, art, palette=paint.palette)
    who = f"painter {look}"
    identity = [f"{who} {painters.VERSION}".encode()]
    identity += [part.tobytes() for part in dataclasses.astuple(colors)]
    return _kept(
        content,
        lambda frame: _painted_by(lambda image: paint(image, colors), frame),
        identity,
        cache_dir,
        who,
    )


def _painted_by(paint: Callable[[np.ndarray], np.ndarray], frame: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> [1, H, W, 3], by a function of float32 images in [0, 1]."""
    painted = paint(frame.astype(np.float32) / 255)
    return np.rint(255 * np.clip(painted, 0, 1)).astype(np.uint8)[None]


def _kept(
    content: Source,
    make: Callable[[np.ndarray], np.ndarray | jax.Array],
    identity: Sequence[bytes],
    cache_dir: str | os.PathLike,
    who: str,
) -> Taught:
    """The results of `make` (uint8 [H, W, 3] -> [1, H, W, 3]), in a folder for its identity."""
    folder = Path(cache_dir).expanduser() / "teacher" / _digest(*identity)
    make_folder(folder)
    with one_process_at_a_time(folder, f"{who}, at the same frames"):
        return Taught(_made(content, make, folder, who))


def _made(
    content: Source, make: Callable[[np.ndarray], np.ndarray | jax.Array], folder: Path, who: str
) -> list[Path]:
    """The files of the results, in the order of the content; computes those that are missing."""
    paths: list[Path] = []
    seen: set[Path] = set()
    waiting: collections.deque[Future[None]] = collections.deque()
    # In a log file every update is a line.
    interval = 1 if sys.stderr.isatty() else 30
    frames = tqdm(
        range(len(content)), who, unit="frame", mininterval=interval, maxinterval=interval
    )
    # Files are compressed while the device is busy with the next frame.
    with ThreadPoolExecutor(2) as writers:
        for i in frames:
            frame = content[i]
            path = folder / f"{_digest(_with_shape(frame))}.png"
            paths.append(path)
            if path in seen or path.exists():
                continue
            seen.add(path)
            waiting.append(writers.submit(_write_png, path, make(frame)))
            if len(waiting) > _WAITING:
                waiting.popleft().result()
        for written in waiting:
            written.result()
    return paths


def _write_png(path: Path, frames: np.ndarray | jax.Array) -> None:
    """Writes the one frame of uint8 [1, H, W, 3], once the device has computed it."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(frames)[0]).save(buffer, "PNG", compress_level=1)
    write_whole(path, buffer.getvalue())


def _with_shape(image: np.ndarray) -> bytes:
    """The pixels, and how they are arranged: two flat images may have the same bytes."""
    return f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:32]
