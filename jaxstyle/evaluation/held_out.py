"""Held-out scenes: what photo data cannot offer, the true stylized frame to compare with."""

from jaxstyle.data.scenes import clip
from jaxstyle.evaluation.footage import LONG_SPAN, SHORT_SPAN, Footage, Motion
from jaxstyle.evaluation.optical_flow import first_frames

# Far from the seeds that recipes train on.
FIRST_SEED = 1_000_000
FIRST_CLIP_SEED = FIRST_SEED + 100_000  # that of clips; below are single pictures

_LONG_PAIRS = 4  # of a clip: they overlap, and further ones would tell little more


def held_out_clips(count: int, frames: int, size: int) -> list[Footage]:
    """Renders `count` clips of `frames` frames, size x size, 24 a second: photos, cels as truth.

    The motions are exact: of span 1, all pairs, and of span `LONG_SPAN`, at most 4 evenly spaced
    ones (none if there are not frames enough).
    """
    spans = [(SHORT_SPAN, first_frames(frames, SHORT_SPAN, None))]
    spans.append((LONG_SPAN, first_frames(frames, LONG_SPAN, _LONG_PAIRS)))
    pairs = [(t, t + span) for span, first in spans for t in first]
    clips = []
    for seed in range(FIRST_CLIP_SEED, FIRST_CLIP_SEED + count):
        shot = clip(seed, frames, (size, size), pairs)
        motions, start = [], 0
        for span, first in spans:
            of_span = slice(start, start + len(first))
            motions.append(Motion(span, first, shot.flow[of_span], ~shot.occluded[of_span]))
            start += len(first)
        clips.append(Footage(f"scene {seed}", shot.photo, shot.cel, tuple(motions)))
    return clips
