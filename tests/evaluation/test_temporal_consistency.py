import numpy as np
import pytest
from scipy.ndimage import map_coordinates, maximum_filter, uniform_filter

from jaxstyle.evaluation.footage import Motion
from jaxstyle.evaluation.temporal_consistency import flicker, relative, warp_error

SIZE = (48, 48)
RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def still_film(count):
    return np.repeat(noise(1, *SIZE, 3), count, axis=0)


def motion(first, displacement=(0, 0), visible=None, span=1):
    """The same displacement, (x, y) or [H, W, 2], and visibility for all pairs."""
    shape = (len(first), *SIZE)
    flow = np.broadcast_to(np.asarray(displacement, np.float32), (*shape, 2))
    visible = np.broadcast_to(True if visible is None else visible, shape)
    return Motion(span, tuple(first), flow, visible)


def rms(x):
    return np.sqrt(np.mean(np.square(np.asarray(x, np.float64))))


def test_a_picture_that_moves_by_its_flow_has_no_warp_error():
    picture = noise(*SIZE, 3)
    film = np.stack([np.roll(picture, (-2 * t, 3 * t), (0, 1)) for t in range(5)])
    inside = np.zeros(SIZE, bool)
    inside[8:-8, 8:-8] = True
    assert warp_error(film, motion([0, 1], (3, -2), inside)) == 0
    assert warp_error(film, motion([0, 2], (6, -4), inside, span=2)) == 0
    assert warp_error(film, motion([0, 1], (-3, 2), inside)) > 0.3


def test_warp_error_of_independent_noise_is_its_deviation_times_the_root_of_two():
    film = np.clip(np.rint(RNG.normal(128, 10, (4, *SIZE, 3))), 0, 255).astype(np.uint8)
    assert warp_error(film, motion([0, 1, 2], (1, 0))) == pytest.approx(2**0.5 * 10 / 255, rel=0.03)


def test_warp_error_is_the_root_of_the_mean_of_each_pairs_mean_over_visible_pixels():
    film = noise(3, *SIZE, 3)
    flow = RNG.uniform(-3, 3, (2, *SIZE, 2)).astype(np.float32)
    visible = RNG.random((2, *SIZE)) < np.array([0.9, 0.4])[:, None, None]
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    means = []
    for t in range(2):
        at = [rows + flow[t, ..., 1], columns + flow[t, ..., 0]]
        warped = np.stack(
            [
                map_coordinates(film[t + 1, ..., c] / 255, at, order=1, mode="nearest")
                for c in (0, 1, 2)
            ],
            axis=-1,
        )
        means.append(np.mean((film[t] / 255 - warped)[visible[t]] ** 2))
    expected = np.sqrt(np.mean(means))
    assert warp_error(film, Motion(1, (0, 1), flow, visible)) == pytest.approx(expected, rel=1e-5)


def test_only_visible_pixels_count_and_cuts_are_left_out():
    film = still_film(3)
    half = np.zeros(SIZE, bool)
    half[: SIZE[0] // 2] = True
    film[1, ~half] = 255 - film[1, ~half]
    film[2] = 255 - film[1]  # a cut
    visible = np.stack([half, RNG.random(SIZE) < 0.1])
    cut = Motion(1, (0, 1), np.zeros((2, *SIZE, 2), np.float32), visible)
    assert warp_error(film, cut) == 0
    assert warp_error(film, motion([0])) > 0.1
    assert warp_error(film, motion([1], visible=visible[1])) is None
    assert warp_error(film, motion([], visible=True)) is None


def test_a_film_that_never_changes_has_no_error_and_no_flicker():
    film = np.full((3, *SIZE, 3), 77, np.uint8)
    assert warp_error(film, motion([0, 1], (0.5, 0.25))) == pytest.approx(0, abs=1e-7)
    assert flicker(film, film) == 0
    assert relative(0.0, 0.0) == 0


def test_brightness_that_swings_on_a_still_input_is_flicker_of_the_whole_swing():
    still = still_film(5)
    swinging = np.full_like(still, 100)
    swinging[::2] += 6  # 103 - 3, 103 + 3
    noisy = np.clip(still + RNG.normal(0, 4, still.shape), 0, 255).astype(np.uint8)
    assert flicker(swinging, still) == pytest.approx(6 / 255, rel=1e-5)
    assert flicker(swinging, noisy) == pytest.approx(6 / 255, rel=1e-5)


def test_change_where_the_input_moves_is_no_flicker():
    moving = np.zeros((4, *SIZE, 3), np.uint8)
    output = np.full_like(moving, 128)
    for t in range(4):
        moving[t, :, 20 + t] = 255  # a thin line: the means of most windows that hold it stay
        output[t, :, 18 + t : 23 + t] = noise(SIZE[0], 5, 3)
    assert flicker(output, moving) == 0
    output[1:3, 30:, 40:] += 10
    # 2 of 3 changes; the line and 4 pixels on either side of both of its places are left out.
    expected = 10 / 255 * np.sqrt(2 / 3 * 18 * 8 / (48 * (48 - 10)))
    assert flicker(output, moving) == pytest.approx(expected, rel=1e-5)


def test_flicker_agrees_with_its_formula_on_a_film_that_stands_still_in_parts():
    film, output = still_film(4), noise(4, *SIZE, 3)
    film[2:, 10:30, :25] = noise(20, 25, 3)
    squares = []
    for t in range(3):
        change = film[t + 1].mean(-1) - film[t].mean(-1)
        mean = uniform_filter(change, 5, mode="nearest")
        still = maximum_filter(np.abs(mean), 5, mode="nearest") < 3
        squares.append(((output[t + 1] / 255 - output[t] / 255) ** 2).mean(-1)[still])
    assert 0.5 < len(squares[1]) / len(squares[0]) < 0.9
    expected = np.sqrt(np.mean(np.concatenate(squares)))
    assert flicker(output, film) == pytest.approx(expected, rel=1e-5)


def test_there_is_no_figure_where_nothing_stands_still_or_nothing_follows():
    film = noise(3, *SIZE, 3)
    assert flicker(film, film) is None
    assert flicker(film[:1], film[:1]) is None


@pytest.mark.parametrize(
    ("value", "own", "expected"),
    [(0.06, 0.02, 3), (0.0, 0.02, 0), (1 / 255, 0.0, 2), (None, 0.02, None), (0.02, None, None)],
)
def test_relative_figures_are_multiples_of_the_inputs_and_always_finite(value, own, expected):
    assert relative(value, own) == (expected if expected is None else pytest.approx(expected))


def test_arrays_that_do_not_fit_are_refused():
    film = still_film(2)
    with pytest.raises(ValueError, match="does not fit"):
        warp_error(film[:, :40], motion([0]))
    with pytest.raises(ValueError, match="beyond the last"):
        warp_error(film, motion([1]))
    with pytest.raises(ValueError, match="float"):
        warp_error(film / 255, motion([0]))
    with pytest.raises(ValueError, match="their input"):
        flicker(film, film[:1])
