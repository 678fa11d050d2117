"""What contestants are compared on: clips and pictures, with what is known of their motion."""

import dataclasses

import numpy as np

# The two distances in time at which steadiness is measured, in frames: neighbours, and a third of
# a second, over which what drifts too slowly to be seen from frame to frame adds up.
SHORT_SPAN, LONG_SPAN = 1, 8
# Of frames, in pixels of the shorter side: what all metrics can do with.
SMALLEST_SIZE = 64


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 to count - 1, evenly spaced from first to last."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


@dataclasses.dataclass(frozen=True)
class Motion:
    """Where the pixels of a clip go over a fixed distance in time.

    span: frames from the first to the second of each pair. first: index of the first frame of each
    of P pairs. flow: float32 [P, H, W, 2], the displacement (x, y) in pixels, from frame t to
    t + span, of what each pixel of frame t shows. visible: bool [P, H, W], whether that is also
    seen in frame t + span.
    """

    span: int
    first: tuple[int, ...]
    flow: np.ndarray
    visible: np.ndarray


@dataclasses.dataclass(frozen=True)
class Footage:
    """A clip, or pictures of one size.

    frames: uint8 [T, H, W, 3], the unstylized input. truth: the true stylized frames, uint8 of the
    same shape, or None where there are none. motions: of a clip, one of span 1 and one of a long
    span; empty for pictures.
    """

    name: str
    frames: np.ndarray
    truth: np.ndarray | None = None
    motions: tuple[Motion, ...] = ()
