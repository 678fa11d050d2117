import numpy as np
import pytest

from jaxstyle.benchmark.timings import difference, ratio_to_best_peer, summary


def test_figures_are_those_of_the_times():
    seconds = np.random.default_rng(0).gamma(2.0, 0.01, 50)
    metrics = summary(list(seconds), batch=4, gflop=1.5)
    assert metrics["calls"] == 50
    assert metrics["median_ms"] == pytest.approx(1e3 * np.median(seconds))
    assert metrics["min_ms"] == pytest.approx(1e3 * seconds.min())
    assert metrics["p95_ms"] == pytest.approx(1e3 * np.quantile(seconds, 0.95))
    assert metrics["frames_per_second"] == pytest.approx(4 / np.median(seconds))
    assert metrics["gflop_per_second"] == pytest.approx(6.0 / np.median(seconds))


def test_a_difference_is_the_largest_one_whatever_its_sign():
    reference = np.zeros((1, 2, 2, 3), np.float32)
    output = reference.copy()
    output[0, 1, 0, 2], output[0, 0, 0, 0] = -0.25, 0.125
    assert difference(output, reference) == 0.25


def test_a_level_of_uint8_counts_as_much_as_in_float_and_does_not_wrap():
    low, high = np.full((1, 1, 1, 3), 3, np.uint8), np.full((1, 1, 1, 3), 5, np.uint8)
    assert difference(low, high) == difference(high, low) == pytest.approx(2 / 127.5)


def test_nan_and_other_shapes_are_no_small_difference():
    reference = np.zeros((1, 2, 2, 3), np.float32)
    assert difference(np.full_like(reference, np.nan), reference) is None
    assert difference(reference[:, :1], reference) is None


def contestant(median, comparable=True):
    return {"device": {"median_ms": median, "comparable": comparable}}


def test_the_ratio_is_to_the_fastest_peer_that_computes_the_same():
    contestants = {
        "jaxstyle": contestant(6.0),
        "slow": contestant(9.0),
        "fast": contestant(4.0),
        "wrong": contestant(1.0, comparable=False),
        "broken": {"failed": "out of memory"},
    }
    assert ratio_to_best_peer(contestants, "device") == 1.5


@pytest.mark.parametrize("others", [{}, {"wrong": contestant(1.0, comparable=False)}])
def test_there_is_no_ratio_without_a_comparable_peer(others):
    assert ratio_to_best_peer({"jaxstyle": contestant(6.0), **others}, "device") is None


def test_there_is_no_ratio_where_jaxstyle_failed():
    contestants = {"jaxstyle": {"failed": "out of memory"}, "fast": contestant(4.0)}
    assert ratio_to_best_peer(contestants, "device") is None
