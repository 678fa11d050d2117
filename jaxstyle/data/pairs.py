"""Content and style that belong together, image by image."""

import collections
import re
from collections.abc import Sequence

import numpy as np

from jaxstyle.data.sources import Source
from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageFiles, ImageSequence


class Selected(ImageSequence):
    """Some images of another source, in the order of `indices`. Pickles if the other does."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self.source = source
        self.indices = [range(len(source))[i] for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.source[self.indices[range(len(self))[i]]]


def align(content: Source, style: Source) -> tuple[Source, Source]:
    """Content and style for paired training: of equal length, item i of both the same scene.

    Sources of equal length are returned as they are, unless they are image files of which some have
    the same names and some do not. Of a style as long as what `key_frames` took
    the content from, the same items are taken. Otherwise one has partners for some of the other, as
    a few painted frames of a film do, and the rest of the longer one is left out:
    - two sources of image files go together by name, without folder and extension;
    - a film and image files by the number that ends an image's name, its frame, counted from 0:
      `painted_0120.png`.

    Raises `UserError` if the shorter one holds images without a partner, or two with the same one,
    or if sources of different length have no names.
    """
    if len(content) == len(style) and not _names_differ(content, style):
        return content, style
    if isinstance(content, Selected) and len(content.source) == len(style):
        return content, Selected(style, content.indices)
    content_keys, style_keys = _keys(content), _keys(style)
    by_number = [
        keys is not None and isinstance(keys[0], int) for keys in (content_keys, style_keys)
    ]
    if content_keys is None or style_keys is None or all(by_number):
        raise UserError(
            f"paired training needs as many style as content images, got {len(content)} content "
            f"and {len(style)} style; only image files, or they and one film, match by name"
        )
    if any(by_number):
        content_keys, style_keys = map(_frame_numbers, (content_keys, style_keys))
    few, many = sorted((content_keys, style_keys), key=len)
    _check_partners(few, many)
    content_index = {key: i for i, key in enumerate(content_keys)}
    style_index = {key: i for i, key in enumerate(style_keys)}
    common = [key for key in content_keys if key in style_index]
    return (
        Selected(content, [content_index[key] for key in common]),
        Selected(style, [style_index[key] for key in common]),
    )


def _names_differ(content: Source, style: Source) -> bool:
    """Whether both are image files that share some of their names, but not all."""
    if not (isinstance(content, ImageFiles) and isinstance(style, ImageFiles)):
        return False
    names, others = ({path.stem for path in source.paths} for source in (content, style))
    return names != others and bool(names & others)


def key_frames(source: Source, count: int) -> Selected:
    """`count` evenly spaced images of a source, the first and the last among them.

    Raises `UserError` if there are not so many, or `count` is below 1.
    """
    if not 1 <= count <= len(source):
        raise UserError(f"cannot take {count} key frames of {len(source)} images")
    return Selected(source, np.linspace(0, len(source) - 1, count).round().astype(int).tolist())


def _keys(source: Source) -> Sequence[str | int] | None:
    """What tells the images of a source apart: names, or numbers of frames; None if nothing."""
    match source:
        case Selected():
            keys = _keys(source.source)
            return None if keys is None else [keys[i] for i in source.indices]
        case ImageFiles():
            return [path.stem for path in source.paths]
        case VideoFrames() if len(source.paths) == 1:
            return list(range(len(source)))
    return None


def _frame_numbers(keys: Sequence[str | int]) -> list[int]:
    return [key if isinstance(key, int) else _frame_number(key) for key in keys]


def _frame_number(name: str) -> int:
    digits = re.search(r"\d+$", name)
    if digits is None:
        raise UserError(
            f"{name}: an image that belongs to a frame of a film has the frame's number, counted "
            "from 0, at the end of its name, such as painted_0120.png"
        )
    return int(digits.group())


def _check_partners(few: Sequence[str | int], many: Sequence[str | int]) -> None:
    for keys in (few, many):
        repeated = [key for key, count in collections.Counter(keys).items() if count > 1]
        if repeated:
            raise UserError(f"paired images go by their names, but {_listed(repeated)} occur twice")
    known = set(many)
    alone = [key for key in few if key not in known]
    if alone:
        raise UserError(
            f"paired images go by their names: of {len(few)}, {len(alone)} have no partner among "
            f"the {len(many)} others: {_listed(alone)}; others are called {_listed(many)}"
        )


def _listed(keys: Sequence[str | int]) -> str:
    return ", ".join(str(key) for key in keys[:3]) + (" ..." if len(keys) > 3 else "")
