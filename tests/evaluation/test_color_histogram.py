import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.evaluation.color_histogram import color_histogram, color_histogram_distance

RED, BLUE, GREEN = (1, 0, 0), (0, 0, 1), (0, 1, 0)


def stripes(*colors: tuple[float, float, float]) -> np.ndarray:
    """Two images of equal vertical stripes, [2, 8, 12, 3]."""
    row = np.repeat(np.asarray(colors, np.float32), 12 // len(colors), axis=0)
    return np.broadcast_to(row, (2, 8, 12, 3)).copy()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(color_histogram_distance(jnp.asarray(a), jnp.asarray(b)))


def test_zero_for_the_same_colors_and_one_for_sets_without_a_color_in_common():
    assert distance(stripes(RED), stripes(RED)) == 0
    np.testing.assert_allclose(distance(stripes(RED), stripes(BLUE)), 1, atol=1e-5)


@pytest.mark.parametrize(("colors", "shared"), [((RED, BLUE), 1 / 2), ((RED, BLUE, GREEN), 1 / 3)])
def test_partial_overlap_follows_the_formula(colors, shared):
    # One of n equal colours in common with an all-red set: BC = sqrt(1/n * 1).
    expected = np.sqrt(1 - np.sqrt(shared))
    np.testing.assert_allclose(distance(stripes(*colors), stripes(RED)), expected, atol=1e-4)
    np.testing.assert_allclose(distance(stripes(RED), stripes(*colors)), expected, atol=1e-4)


def test_only_shares_of_colors_count_not_places_nor_numbers_nor_sizes():
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(2, 8, 12, 3)).astype(np.float32)
    shuffled = rng.permutation(image.reshape(-1, 3))
    assert distance(image, shuffled.reshape(1, 16, 12, 3)) < 1e-3
    assert distance(image, np.tile(image, (2, 1, 3, 1))) < 1e-3
    assert distance(image, image**2) > 0.2


def test_agrees_with_a_direct_implementation():
    rng = np.random.default_rng(1)
    sets = [rng.uniform(size=(2, 8, 12, 3)).astype(np.float32) ** p for p in (1, 3)]
    # Nodes every 20 of L*a*b*; a value between two belongs to both, the nearer one more.
    histograms = []
    for images in sets:
        histogram = {}
        for lab in cv2.cvtColor(images.reshape(1, -1, 3), cv2.COLOR_RGB2LAB)[0].astype(float):
            low = np.floor(lab / 20)
            for corner in np.ndindex(2, 2, 2):
                node = low + corner
                share = np.prod(1 - np.abs(lab / 20 - node)) / (2 * 8 * 12)
                histogram[tuple(node)] = histogram.get(tuple(node), 0) + share
        histograms.append(histogram)
    p, q = histograms
    coefficient = sum(np.sqrt(p[node] * q[node]) for node in p.keys() & q.keys())
    np.testing.assert_allclose(distance(*sets), np.sqrt(1 - coefficient), atol=5e-3)


def test_every_color_has_its_place_and_greys_have_one_bin_of_a_and_b():
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3), -1).reshape(1, 2, 4, 3)
    corners = np.tile(corners, (2, 4, 3, 1)).astype(np.float32)
    for images in (corners, corners * 3 - 1):
        np.testing.assert_allclose(color_histogram(jnp.asarray(images)).sum(), 1, atol=1e-5)
    greys = np.broadcast_to(np.linspace(0, 1, 12, dtype=np.float32)[:, None], (2, 8, 12, 3))
    np.testing.assert_allclose(color_histogram(jnp.asarray(greys))[:, 5, 6].sum(), 1, atol=1e-2)


def test_a_stronger_tint_is_farther():
    rng = np.random.default_rng(2)
    images = rng.uniform(0.2, 0.7, size=(2, 8, 12, 3)).astype(np.float32)
    tint = np.float32([1, 0, -1])
    distances = [distance(images + s * tint, images) for s in np.float32([0, 0.02, 0.1, 0.2])]
    assert distances == sorted(distances)
    assert distances[-1] > 0.3


def test_rejects_sets_that_are_not_pictures():
    with pytest.raises(ValueError, match="sets"):
        color_histogram_distance(jnp.zeros((0, 8, 8, 3)), jnp.zeros((1, 8, 8, 3)))
