"""Opens what models are compared on (`Content`) and the style that they are to show."""

import dataclasses
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from jaxstyle.data.augment import resized_crop
from jaxstyle.data.sources import Source, open_source
from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError
from jaxstyle.evaluation.footage import LONG_SPAN, SHORT_SPAN, SMALLEST_SIZE, Footage, evenly_spaced
from jaxstyle.evaluation.held_out import FIRST_SEED, held_out_clips
from jaxstyle.evaluation.optical_flow import film_motion
from jaxstyle.media.images import IMAGE_EXTENSIONS

# Of a film: two pairs of frames far apart.
FEWEST_FRAMES = LONG_SPAN + 2
# Pairs of frames far apart for which the motion is found, spread over a film.
_LONG_PAIRS = 24
SCENES = "scenes"  # the content, or style, of that name: held-out scenes
_HELD_OUT_CELS = "scenes:cel?count={count}&size={size}&first_seed={seed}"


@dataclasses.dataclass(frozen=True)
class Content:
    """Clips, or pictures, of one size: a row of the report.

    name: told to people. clips: each with its frames; pictures are one clip without motions.
    """

    name: str
    clips: tuple[Footage, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self.clips[0].frames.shape[1:3]

    @property
    def has_truth(self) -> bool:
        """Whether the true stylized frames are known."""
        return self.clips[0].truth is not None

    @property
    def truths(self) -> list[np.ndarray]:
        """The true stylized frames of each clip, uint8 of its shape; [] where they are unknown."""
        return [clip.truth for clip in self.clips if clip.truth is not None]

    @property
    def moves(self) -> bool:
        """Whether the frames of a clip follow one another in time."""
        return bool(self.clips[0].motions)

    def folder(self, clip: int) -> str:
        """Where the frames of a clip are kept as files: a relative path."""
        name = file_name(self.name)
        return name if len(self.clips) == 1 else f"{name}/{clip:03d}"


def check_content(spec: str) -> None:
    """Raises `UserError` for what `open_content` cannot open; quick, as next to nothing is decoded.

    spec: as there.
    """
    if _is_film(spec):
        _checked_film(spec)
    elif spec != SCENES:
        _open_pictures(spec, SMALLEST_SIZE)


def check_style(spec: str) -> None:
    """Raises `UserError` for what `open_style` cannot open; quick. spec: as there."""
    if spec != SCENES:
        open_source(spec, size=SMALLEST_SIZE)


def open_content(spec: str, *, size: int, frames: int, count: int) -> Content:
    """Opens held-out scenes, a film, or pictures.

    Args:
      spec: "scenes": `count` held-out clips of the embedded scenes, as camera footage, with exact
        motion and the true cel frames. A film: `frames` frames in a row from its middle, or all
        of a shorter one, with the motion that optical flow finds. Anything else that
        `data.sources.open_source` understands: `count` pictures, evenly spaced.
      size: of the shorter side, in pixels; 64 or more. Films that are smaller keep their size. Of
        pictures the square in the middle is taken, and scaled to this size.
      frames: of a film; `FEWEST_FRAMES` or more, so that there is a long range.
      count: of scenes, or pictures.

    Raises:
      UserError: nothing there, or nothing that can be read; a film that is too short or too small;
        several films.
    """
    if spec == SCENES:
        return Content(SCENES, tuple(held_out_clips(count, LONG_SPAN + 1, size)))
    if _is_film(spec):
        return _open_film(spec, size, frames)
    name = _told_name(spec)
    return Content(name, (Footage(name, squares(_open_pictures(spec, size), size, count)),))


def open_style(spec: str, *, size: int, count: int) -> np.ndarray:
    """Up to `count` pictures of the style, evenly spaced: uint8 [M, size, size, 3].

    spec: "scenes", the cel look on scenes that nothing is trained on; or as `open_source` has it.
    Raises `UserError` for nothing there.
    """
    if spec == SCENES:
        spec = _HELD_OUT_CELS.format(count=count, size=size, seed=FIRST_SEED)
    return squares(open_source(spec, size=size), size, count)


def squares(source: Source, size: int, count: int) -> np.ndarray:
    """The middle squares of up to `count` images of a source, evenly spaced, scaled to `size`."""
    return np.stack([middle_square(source[i], size) for i in evenly_spaced(len(source), count)])


def middle_square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of uint8 [H, W, 3], scaled to [size, size, 3]."""
    height, width = image.shape[:2]
    side = min(height, width)
    return resized_crop(image, ((height - side) // 2, (width - side) // 2, side), size)


def unique_names(contents: Sequence[Content]) -> list[Content]:
    """The same, with numbers added to names that are there twice, as files or in the report."""
    taken: set[str] = set()
    result = []
    for content in contents:
        name, number = content.name, 1
        while file_name(name) in taken:
            number += 1
            name = f"{content.name} ({number})"
        taken.add(file_name(name))
        result.append(dataclasses.replace(content, name=name))
    return result


def file_name(name: str) -> str:
    """A name as that of a file or folder, on any system."""
    return re.sub(r"[^\w .()-]", "_", name).strip(". ") or "_"


def _open_film(path: str, size: int, frames: int) -> Content:
    film = _checked_film(path)
    first = max(0, (len(film) - frames) // 2)
    # By number: then the decoder starts here, and not at the beginning of the film.
    numbers = range(first, min(first + frames, len(film)))
    shown = np.stack([_shorter_side(film[i], size) for i in numbers])
    motions = (film_motion(shown, SHORT_SPAN), film_motion(shown, LONG_SPAN, _LONG_PAIRS))
    name = _told_name(path)
    return Content(name, (Footage(name, shown, motions=motions),))


def _checked_film(path: str) -> VideoFrames:
    film = VideoFrames(path)
    if len(film) < FEWEST_FRAMES:
        raise UserError(
            f"{path} has too few frames, {len(film)}; {FEWEST_FRAMES} or more are needed to "
            "measure how steady a model is. Single pictures are given as a folder"
        )
    height, width = film[len(film) // 2].shape[:2]
    if min(height, width) < SMALLEST_SIZE:
        raise UserError(
            f"{path} is {width}x{height}; {SMALLEST_SIZE} pixels or more are needed on each side"
        )
    return film


def _open_pictures(spec: str, size: int) -> Source:
    source = open_source(spec, size=size)
    if isinstance(source, VideoFrames):
        raise UserError(f"{spec} holds films; give each as a content by itself")
    return source


def _shorter_side(frame: np.ndarray, size: int) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = size / min(height, width)
    if scale >= 1:
        return frame
    shape = round(width * scale), round(height * scale)
    return cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)


def _is_film(spec: str) -> bool:
    path = Path(spec).expanduser()
    return path.is_file() and path.suffix.lower() not in IMAGE_EXTENSIONS


def _told_name(spec: str) -> str:
    """The last part of what a person named, without wildcards and options."""
    path = Path(spec).expanduser()
    if path.exists():
        return Path(os.path.abspath(path)).name or spec
    kind, colon, rest = spec.partition(":")
    if colon:
        spec = f"{kind}:{rest.partition('?')[0]}"
    parts = [part for part in Path(spec).parts if not glob.has_magic(part)]
    return parts[-1] if parts else spec
