import numpy as np
import pytest

from jaxstyle.evaluation.grid import grid_power


def noise(deviation=12.0, count=24, height=96, width=128):
    rng = np.random.default_rng(0)
    values = 128 + deviation * rng.standard_normal((count, height, width, 1))
    return np.repeat(values, 3, axis=-1)


def as_frames(values):
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def test_noise_and_edges_have_no_grid():
    assert grid_power(as_frames(noise())) == pytest.approx(1, abs=0.15)
    steps = np.zeros((1, 96, 128, 3))
    steps[:, :, 37:90] = 200
    steps[:, 22:71, 50:] += 30
    assert grid_power(as_frames(steps + noise(2.0, count=1) - 128)) < 1.5


def test_a_pattern_of_four_pixels_is_found_as_strong_as_it_is():
    """Against the spectrum of a sum of waves: noise has the same power everywhere."""
    deviation, amplitude = 12.0, 4.0
    values = noise(deviation)
    down, across = np.mgrid[0:96, 0:128]
    waves = np.zeros((96, 128))
    for row in range(4):
        for column in range(4):
            if (row, column) != (0, 0):
                waves += amplitude * np.cos(np.pi / 2 * (row * down + column * across))
    found = grid_power(as_frames(values + waves[..., None]))
    window = np.hanning(96)[:, None] * np.hanning(128)
    # The wave of -row and -column is that of row and column, so both add up, or a wave is its own.
    peak = np.square(amplitude * window.sum()) / (deviation**2 * np.square(window).sum())
    assert found == pytest.approx(1 + peak, rel=0.15)


def test_a_pattern_of_another_period_is_none():
    values = noise(4.0)
    wave = 30 * np.sin(2 * np.pi * np.arange(128) / 6.4)
    assert grid_power(as_frames(values + wave[None, None, :, None])) == pytest.approx(1, abs=0.25)


def test_a_flat_picture_has_none():
    assert grid_power(np.full((2, 64, 64, 3), 90, np.uint8)) == pytest.approx(1)


def test_small_pictures_are_refused():
    with pytest.raises(ValueError, match="64 pixels or more"):
        grid_power(np.zeros((1, 60, 80, 3), np.uint8))
