"""Frames with nothing in them, and the fades that lead there."""

from fractions import Fraction

import cv2
import numpy as np

# Levels of 0 to 255 that all but the darkest and the brightest 1 % of pixels lie between.
_FLAT_RANGE, _BLACK, _WHITE = 24, 32, 223
# A frame whose luma varies less than this (standard deviation) may be the end of a fade.
_EMPTY_CONTRAST = 6.0
# How long a fade is at most, in seconds, and how much of the full contrast ends it.
_LONGEST_FADE, _FULL = 3, 0.8


def blank_kind(rgb: np.ndarray) -> str | None:
    """ "black", "white" or "flat" for uint8 [h, w, 3] that shows next to nothing, else None.

    A hundredth of the pixels may be anything: a small logo, or small print, on black is black.
    """
    low, high = np.percentile(rgb.reshape(-1, 3), (1, 99), axis=0)
    if high.max() <= _BLACK:
        return "black"
    if low.min() >= _WHITE:
        return "white"
    return "flat" if (high - low).max() < _FLAT_RANGE else None


def contrast(grey: np.ndarray) -> float:
    """Standard deviation of uint8 [h, w]."""
    return float(cv2.meanStdDev(grey)[1][0, 0])


def fading(contrasts: np.ndarray, shots: np.ndarray, rate: Fraction) -> np.ndarray:
    """Which frames belong to a fade from or to black, white or any one colour: bool [N].

    contrasts: float [N], of all frames of a film. shots: int [N], their shots. rate: frames per
    second. On both sides of a run of empty frames, the frames up to the first with 80 % of the
    largest contrast that the same shot reaches within 3 seconds. After a hard cut from black that
    is none. Dissolves from one picture into another are not found.
    """
    empty = contrasts < _EMPTY_CONTRAST
    result = empty.copy()
    span = max(1, round(_LONGEST_FADE * rate))
    edges = np.flatnonzero(np.diff(empty.astype(np.int8)))
    for edge in edges.tolist():
        if empty[edge]:
            ahead = np.arange(edge + 1, min(edge + 1 + span, len(empty)))
        else:
            ahead = np.arange(edge, max(edge - span, -1), -1)
        ahead = ahead[shots[ahead] == shots[ahead[0]]]
        reached = contrasts[ahead] >= _FULL * contrasts[ahead].max()
        result[ahead[: int(np.argmax(reached))]] = True
    return result
