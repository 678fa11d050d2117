"""The Fréchet distance against the published formula with a matrix root, and closed forms."""

import numpy as np
import pytest
import scipy.linalg

from jaxstyle.evaluation.fid import frechet_distance


def correlated(rows, columns, seed):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns))
    return np.maximum(mixed + rng.normal(size=columns), 0)


def test_is_the_published_formula():
    a, b = correlated(60, 16, seed=0), correlated(40, 16, seed=1)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    means = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    expected = means + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)


def test_fewer_images_than_features_are_as_exact():
    a, b = correlated(30, 4, seed=0), correlated(20, 4, seed=1)
    turned, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(64, 64)))
    in_more_dimensions = turned[:4]  # orthonormal rows keep every distance
    assert frechet_distance(a @ in_more_dimensions, b @ in_more_dimensions) == pytest.approx(
        frechet_distance(a, b), rel=1e-8
    )


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_closed_forms(shape):
    a = correlated(*shape, seed=0)
    spread = a.var(axis=0, ddof=1).sum()
    shift = np.linspace(-1, 1, shape[1])
    assert 0 <= frechet_distance(a, a) < 1e-8 * spread
    assert 0 <= frechet_distance(a, a[::-1].copy()) < 1e-8 * spread
    assert frechet_distance(a, a + shift) == pytest.approx(np.sum(shift**2))
    centred = a - a.mean(axis=0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(spread * (3 - 1) ** 2)
    assert frechet_distance(a, np.zeros_like(a)) == pytest.approx(
        spread + np.sum(a.mean(axis=0) ** 2)
    )


def test_what_has_no_distance_is_refused():
    a = np.zeros((5, 3))
    with pytest.raises(ValueError, match="two images in each, got 5 and 1"):
        frechet_distance(a, a[:1])
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(5, 2\)"):
        frechet_distance(a, a[:, :2])
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(a, np.full((5, 3), np.nan))
