import cv2
import numpy as np
import pytest

from jaxstyle.evaluation.edges import canny_edges, edge_f1


def discs(*columns: int, shift: int = 0, light: int = 200, size: int = 192) -> np.ndarray:
    """Light discs at the given columns of a dark picture, uint8 [1, size, size, 3]."""
    image = np.full((size, size, 3), 40, np.uint8)
    for column in columns:
        cv2.circle(image, (column + shift, size // 2), 24, (light,) * 3, thickness=-1)
    return image[None]


def texture(seed: int, height: int = 120, width: int = 150) -> np.ndarray:
    blobs = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    blobs = cv2.GaussianBlur(blobs, (0, 0), 4)
    return np.clip(128 + 40 * blobs / blobs.std(), 0, 255).astype(np.uint8)


def test_edges_are_thin_and_where_the_steps_are():
    edges = canny_edges(discs(96)[0])
    y, x = np.nonzero(edges)
    radius = np.hypot(x - 96, y - 96)
    assert abs(radius - 24).max() < 1.5
    assert 0.8 < len(radius) / (2 * np.pi * 24) < 1.4


def test_identical_and_shifted_within_the_tolerance_are_one_and_beyond_it_less():
    # The tolerance at 192 pixels is 2.04.
    reference = discs(60, 130)
    assert edge_f1(reference, reference) == 1
    assert edge_f1(discs(60, 130, shift=2), reference) == 1
    assert edge_f1(discs(60, 130, shift=8), reference) < 0.5
    # A small picture's 0.75 % is less than a pixel.
    assert edge_f1(discs(31, shift=1, size=64), discs(31, size=64)) == 1


def test_half_of_the_edges_missing_is_two_thirds_from_either_side():
    # Precision 1 and recall 1/2, or the reverse.
    whole, half = discs(50, 140), discs(50)
    np.testing.assert_allclose(edge_f1(half, whole), 2 / 3, atol=0.01)
    np.testing.assert_allclose(edge_f1(whole, half), 2 / 3, atol=0.01)


def test_blank_images_have_defined_values_and_images_are_scored_one_by_one():
    blank = np.full_like(discs(), 255)
    speckled = np.random.default_rng(0).integers(127, 129, blank.shape, np.uint8)
    frames = np.concatenate([blank, discs(96), blank, speckled, discs(96)])
    reference = np.concatenate([blank, blank, discs(96), blank, discs(96)])
    scores = edge_f1(frames, reference)
    assert scores.dtype == np.float32
    assert scores.tolist() == [1, 0, 0, 1, 1]


def test_exposure_does_not_matter():
    image = texture(0) // 8 * 8
    assert canny_edges(image).mean() > 0.02
    for other in (image // 4, image // 4 + 180):
        assert edge_f1(other[None], image[None]) > 0.999


def test_agrees_with_distances_taken_pixel_by_pixel():
    a, b = texture(1), texture(2)
    points_a, points_b = (np.argwhere(canny_edges(x)) for x in (a, b))
    distances = np.linalg.norm(points_a[:, None] - points_b[None], axis=-1)
    tolerance = 0.0075 * np.hypot(120, 150)
    precision = (distances.min(1) <= tolerance).mean()
    recall = (distances.min(0) <= tolerance).mean()
    assert 0.05 < precision < 0.9
    expected = 2 * precision * recall / (precision + recall)
    np.testing.assert_allclose(edge_f1(a[None], b[None]), expected, rtol=1e-5)


def test_rejects_images_that_cannot_be_compared():
    with pytest.raises(ValueError, match="equal"):
        edge_f1(discs(96), discs(96, size=96))
    with pytest.raises(ValueError, match="uint8"):
        edge_f1(discs(96).astype(np.float32), discs(96))
