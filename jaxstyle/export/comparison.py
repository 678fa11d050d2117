"""Whether an exported model does what its source does: both are run on the same frames."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxstyle.data.scenes import shot
from jaxstyle.errors import UserError

# In levels of 255. Runtimes sum in different orders, which now and then rounds a level up or down.
_LARGEST_DIFFERENCE = 2
_LARGEST_MEAN = 0.1

# Frames and a float32 scalar in, frames out.
Inference = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Comparison(NamedTuple):
    """What was compared: the sizes (width, height), and differences in levels of 255."""

    sizes: tuple[tuple[int, int], ...]
    frames: int
    largest: int
    mean: float

    def __str__(self) -> str:
        sizes = ", ".join(f"{width}x{height}" for width, height in self.sizes)
        return (
            f"compared with the source on {self.frames} frames of {sizes}: "
            f"differs by at most {self.largest} of 255 levels, {self.mean:.4f} on average"
        )


def compare(
    exported: Inference,
    source: Inference,
    sizes: Sequence[tuple[int, int]],
    batch: int | None = None,
) -> Comparison:
    """Runs both on two frames of noise and a rendered scene of each size (width, height).

    batch: how many frames a call takes; None for any number. Raises `UserError` if a result has
    another shape or dtype, or differs by more than 2 levels, or by 0.1 on average.
    """
    differences = []
    strengths = itertools.cycle([np.array(1.0, np.float32), np.array(0.6, np.float32)])
    for size in sizes:
        # Of an open number, one at a time is checked, and several where there is a second size.
        count = batch or (1 if size == sizes[0] else 3)
        for frames in _batches(_example_frames(size), count):
            strength = next(strengths)
            wanted, found = source(frames, strength), exported(frames, strength)
            if found.dtype != wanted.dtype or found.shape != wanted.shape:
                raise UserError(
                    f"nothing is written: the exported model gives {found.dtype} {found.shape} "
                    f"where its source gives {wanted.dtype} {wanted.shape}"
                )
            differences.append(np.abs(found.astype(np.int16) - wanted.astype(np.int16)))
    result = Comparison(
        sizes=tuple(sizes),
        frames=sum(len(difference) for difference in differences),
        largest=max(int(difference.max()) for difference in differences),
        mean=float(np.mean([difference.mean() for difference in differences])),
    )
    if result.largest > _LARGEST_DIFFERENCE or result.mean >= _LARGEST_MEAN:
        raise UserError(f"nothing is written, the exported model is not its source: {result}")
    return result


def _example_frames(size: tuple[int, int]) -> np.ndarray:
    """Noise, which finds what a smooth picture hides, and a picture, which is what models know."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    drawn = shot.frame("photo", 0, (max(height, shot.MIN_SIDE), max(width, shot.MIN_SIDE)))
    return np.concatenate([noise, drawn[None, :height, :width]])


def _batches(frames: np.ndarray, count: int) -> Iterator[np.ndarray]:
    for start in range(0, len(frames), count):
        yield frames[np.arange(start, start + count) % len(frames)]
