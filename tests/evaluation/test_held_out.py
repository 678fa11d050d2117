import numpy as np

from jaxstyle.data.scenes import clip
from jaxstyle.evaluation.footage import LONG_SPAN
from jaxstyle.evaluation.held_out import FIRST_CLIP_SEED, FIRST_SEED, held_out_clips


def test_held_out_scenes_are_beyond_the_training_seeds_of_the_recipes():
    assert FIRST_SEED > 100_000 + 2_000


def test_clips_have_exact_motions_of_both_spans():
    first, second = held_out_clips(2, 14, 64)
    assert first.name == f"scene {FIRST_CLIP_SEED}"
    assert not np.array_equal(first.frames, second.frames)
    shot = clip(FIRST_CLIP_SEED, 14, (64, 64))
    assert np.array_equal(first.frames, shot.photo)
    assert np.array_equal(first.truth, shot.cel)
    short, long = first.motions
    assert (short.span, short.first) == (1, tuple(range(13)))
    assert np.array_equal(short.flow, shot.flow)
    assert np.array_equal(short.visible, ~shot.occluded)
    assert (long.span, long.first) == (LONG_SPAN, (0, 2, 3, 5))
    for i, t in enumerate(long.first):
        far = clip(FIRST_CLIP_SEED, 14, (64, 64), [(t, t + LONG_SPAN)])
        assert np.array_equal(long.flow[i], far.flow[0])
        assert np.array_equal(long.visible[i], ~far.occluded[0])


def test_short_clips_have_no_long_pairs():
    (footage,) = held_out_clips(1, LONG_SPAN, 32)
    assert footage.motions[1].first == ()
    assert footage.motions[1].flow.shape == (0, 32, 32, 2)


def test_clips_show_other_scenes_than_single_pictures():
    assert FIRST_CLIP_SEED >= FIRST_SEED + 100_000
