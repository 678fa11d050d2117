import numpy as np
import pytest

from jaxstyle.evaluation.held_out import FIRST_SEED, compare_with_truth, held_out_scenes


@pytest.fixture(scope="module")
def scenes():
    return held_out_scenes(9, 64)


def test_an_untrained_generator_is_as_good_as_the_input(scenes):
    photos, cels = scenes
    figures = compare_with_truth(photos, photos, cels)
    assert figures["ssim"] == figures["ssim_input"]
    assert figures["swd"] == figures["swd_input"]
    assert 0 < figures["ssim"] < 0.95
    assert figures["swd"] > 0.01


def test_a_perfect_generator_has_perfect_figures(scenes):
    photos, cels = scenes
    figures = compare_with_truth(photos, cels, cels)
    assert figures["ssim"] == pytest.approx(1, abs=1e-5)
    assert figures["swd"] == pytest.approx(0, abs=1e-6)


def test_black_frames_are_worse_than_the_input(scenes):
    photos, cels = scenes
    figures = compare_with_truth(photos, np.zeros_like(photos), cels)
    assert figures["ssim"] < figures["ssim_input"]
    assert figures["swd"] > figures["swd_input"]


def test_held_out_scenes_are_beyond_the_training_seeds_of_the_recipes():
    assert FIRST_SEED > 100_000 + 2_000
