"""Keeps the frame rate: when frames take too long, they are computed at a smaller size."""

import collections
import statistics
from collections.abc import Sequence
from fractions import Fraction

from jaxstyle.realtime.letterbox import Size

# Decisions look at this many frames, so that one slow frame decides nothing.
_WINDOW = 15
# A larger size comes back only if it would leave this much of the time unused, and after so many
# windows, twice as many each time that it then was too slow after all: a picture that keeps
# changing its sharpness is worse than a soft one.
_ROOM = 0.3
_PATIENCE = 10


class QualityController:
    """Chooses one of `sizes`, largest first, so that a frame takes no more than `1 / fps` seconds.

    The time that a larger size would take is judged by its pixels.
    """

    def __init__(self, sizes: Sequence[Size], fps: float | Fraction):
        self._sizes = sizes
        self._budget = 1 / fps
        self._index = 0
        self._times: collections.deque[float] = collections.deque(maxlen=_WINDOW)
        self._calm_windows = 0
        self._patience = _PATIENCE
        self._has_returned = False

    @property
    def size(self) -> Size:
        """The size to compute at now."""
        return self._sizes[self._index]

    def observe(self, seconds: float) -> bool:
        """Counts what a frame took; returns whether `size` has changed."""
        self._times.append(seconds)
        if len(self._times) < _WINDOW:
            return False
        median = statistics.median(self._times)
        self._times.clear()
        self._calm_windows += 1
        if median > self._budget and self._index < len(self._sizes) - 1:
            self._patience *= 2 if self._has_returned else 1
            return self._move(1)
        if self._calm_windows >= self._patience and self._fits_larger(median):
            self._has_returned = True
            return self._move(-1)
        return False

    def _fits_larger(self, median: float) -> bool:
        if self._index == 0:
            return False
        larger, size = self._sizes[self._index - 1], self.size
        by_pixels = median * (larger[0] * larger[1]) / (size[0] * size[1])
        return by_pixels < (1 - _ROOM) * self._budget

    def _move(self, by: int) -> bool:
        self._index += by
        self._calm_windows = 0
        return True
