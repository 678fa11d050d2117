"""The few frames of each contestant that a report shows."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.contestants import TRUTH
from jaxstyle.evaluation.footage import evenly_spaced
from jaxstyle.evaluation.report import Strip

_FRAMES = 5
_PICTURES = 4
_LONGER_SIDE = 320  # pixels


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """frames: consecutive ones of the first clip. pictures: some spread over all clips.

    Both uint8 [N, H, W, 3], the longer side at most 320 pixels.
    """

    frames: np.ndarray
    pictures: np.ndarray


def excerpt(content: Content, outputs: Sequence[np.ndarray]) -> Excerpt:
    """What a report shows of outputs: uint8 of the shape of each clip of the content."""
    if len(outputs) > 1:
        pictures = [frames[0] for frames in _spread(outputs)]
    else:
        pictures = _spread(list(outputs[0]))
    frames = outputs[0][: _FRAMES if content.moves else 1]
    return Excerpt(*(np.stack([_shrunk(image) for image in x]) for x in (frames, pictures)))


def strip(content: Content, excerpts: dict[str, Excerpt]) -> Strip:
    """The excerpts of all contestants, by name, and that of the truth, where it is known."""
    if content.has_truth:
        truth = excerpt(content, content.truths)
        excerpts = {**excerpts, TRUTH: truth}
    return Strip(
        content.name,
        frames={name: one.frames for name, one in excerpts.items()},
        pictures={name: one.pictures for name, one in excerpts.items()},
    )


def _spread(items: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [items[i] for i in evenly_spaced(len(items), _PICTURES)]


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = _LONGER_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
