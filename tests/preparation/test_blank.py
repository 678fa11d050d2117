from fractions import Fraction

import numpy as np
import pytest

from jaxstyle.preparation.blank import blank_kind, contrast, fading

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (90, 160, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("color", "kind"), [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((180, 30, 90), "flat")]
)
def test_even_frames_are_blank_with_noise_and_a_small_logo_too(color, kind):
    frame = np.clip(np.array(color) + RNG.integers(-5, 6, (90, 160, 3)), 0, 255).astype(np.uint8)
    assert blank_kind(frame) == kind
    frame[80:86, 140:160] = PICTURE[80:86, 140:160]
    assert blank_kind(frame) == kind


def test_pictures_are_not_blank():
    assert blank_kind(PICTURE) is None
    assert blank_kind(PICTURE // 3) is None
    # A lit window at night: a fiftieth of the picture.
    night = np.zeros_like(PICTURE)
    night[40:52, 70:94] = 200
    assert blank_kind(night) is None


def contrasts(scales):
    return np.array([contrast((PICTURE[..., 0] * scale).astype(np.uint8)) for scale in scales])


def test_fades_on_both_sides_of_black_are_found_in_full():
    down, black, up = np.linspace(1, 0, 25)[1:-1], np.zeros(6), np.linspace(0, 1, 49)[1:-1]
    scales = np.concatenate([np.ones(60), down, black, up, np.ones(60)])
    found = fading(contrasts(scales), np.zeros(len(scales), int), Fraction(24))
    assert not found[scales == 1].any()
    assert found[scales < 0.75].all()


def test_a_hard_cut_from_black_is_no_fade():
    scales = np.concatenate([np.zeros(10), np.ones(50), np.full(50, 0.4), np.zeros(10)])
    shots = np.repeat([0, 1, 2, 3], [10, 50, 50, 10])
    found = fading(contrasts(scales), shots, Fraction(24))
    np.testing.assert_array_equal(found, scales == 0)


def test_films_without_any_black_have_no_fades():
    found = fading(contrasts(np.linspace(0.2, 1, 50)), np.zeros(50, int), Fraction(24))
    assert not found.any()
