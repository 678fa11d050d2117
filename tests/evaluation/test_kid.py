"""The kernel distance against its definition, pair by pair."""

import jax
import numpy as np
import pytest

from jaxstyle.evaluation.kid import kernel_distance


def sets(count_a, count_b, features=6, seed=0):
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=(count, features)) for count in (count_a, count_b))
    return np.maximum(a, 0), np.maximum(b + 0.5, 0)


def pair_by_pair(a, b):
    """The unbiased estimate for sets of any sizes."""

    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(s):
        pairs = [kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]
        return sum(pairs) / len(pairs)

    between = [kernel(x, y) for x in a for y in b]
    return within(a) + within(b) - 2 * sum(between) / len(between)


def test_of_whole_sets_is_the_definition():
    a, b = sets(12, 12)
    mean, deviation = kernel_distance(a, b, jax.random.key(0), subsets=2)
    assert mean == pytest.approx(pair_by_pair(a, b), rel=1e-10)
    assert deviation < 1e-10, "both subsets are the whole sets"


def test_subsets_are_without_bias():
    a, b = sets(20, 24)
    mean, deviation = kernel_distance(a, b, jax.random.key(0), subsets=400, subset_size=12)
    assert mean == pytest.approx(pair_by_pair(a, b), abs=4 * deviation / 400**0.5)
    assert deviation > 0

    again = kernel_distance(a, b, jax.random.key(0), subsets=400, subset_size=12)
    other = kernel_distance(a, b, jax.random.key(1), subsets=400, subset_size=12)
    assert again == (mean, deviation)
    assert other != (mean, deviation)


def test_what_has_no_distance_is_refused():
    a, b = sets(5, 5)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="two images in each, got 5 and 1"):
        kernel_distance(a, b[:1], key)
    with pytest.raises(ValueError, match=r"got \(5, 6\) and \(5, 3\)"):
        kernel_distance(a, b[:, :3], key)
    with pytest.raises(ValueError, match="finite"):
        kernel_distance(a, np.full_like(b, np.inf), key)
    for sizes in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(ValueError, match="subsets of two images"):
            kernel_distance(a, b, key, **sizes)
