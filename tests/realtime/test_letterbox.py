import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxstyle.realtime.letterbox import buckets, fitted, letterboxed, mirrored_into


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows + columns], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((1280, 960), (480, 360)),
        ((100, 50), (100, 50)),
        ((1, 9000), (1, 360)),
    ],
)
def test_pictures_keep_their_shape_and_are_not_enlarged(size, expected):
    assert fitted(size, (640, 360)) == expected


def test_a_picture_of_the_buckets_size_is_passed_on_as_it_is():
    rgb = ramp(36, 64)
    result, size = mirrored_into(rgb, (64, 36))
    assert result is rgb
    assert size == (64, 36)


def test_the_border_is_a_mirror_and_the_picture_untouched():
    rgb = ramp(30, 40)
    result, (width, height) = mirrored_into(rgb, (64, 36))
    assert result.shape == (36, 64, 3)
    np.testing.assert_array_equal(result[:height, :width], rgb)
    np.testing.assert_array_equal(result[:30, 40:], rgb[:, :15:-1])
    np.testing.assert_array_equal(result[30:, :40], rgb[:23:-1])


def test_a_picture_smaller_than_half_the_bucket_fills_it():
    result, size = mirrored_into(ramp(2, 1), (16, 16))
    assert size == (1, 2)
    assert set(np.unique(result[..., 0])) == {0, 1}


def test_buckets_shrink_by_half_the_work_and_suit_the_stride():
    sizes = buckets((1282, 720), 4)
    assert sizes[0] == (1284, 720)
    for (width, height), (smaller_width, smaller_height) in itertools.pairwise(sizes):
        assert 0.4 < smaller_width * smaller_height / (width * height) < 0.6
    assert all(length % 4 == 0 for size in sizes for length in size)
    assert buckets((4, 4), 4) == [(4, 4)]


# ---- Laws of any size ----------------------------------------------------------------------------


def sizes(most):
    return st.tuples(st.integers(1, most), st.integers(1, most))


@given(sizes(10_000), sizes(10_000))
def test_what_is_fitted_fits_and_is_as_large_as_its_shape_allows(size, bucket):
    width, height = fitted(size, bucket)
    scale = min(1, bucket[0] / size[0], bucket[1] / size[1])
    assert 1 <= width <= min(bucket[0], size[0])
    assert 1 <= height <= min(bucket[1], size[1])
    for length, exact in ((width, size[0] * scale), (height, size[1] * scale)):
        assert length == 1 or abs(length - exact) <= 0.5 + 1e-6
    assert fitted((width, height), bucket) == (width, height)


@given(sizes(24), sizes(24))
def test_a_bucket_is_filled_by_mirrors_however_small_the_picture(size, bucket):
    rgb = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    result, (width, height) = mirrored_into(rgb, bucket)
    assert (width, height) == fitted(size, bucket)
    within = result[:height, :width]
    if (width, height) == size:
        np.testing.assert_array_equal(within, rgb)
    border = ((0, bucket[1] - height), (0, bucket[0] - width), (0, 0))
    np.testing.assert_array_equal(result, np.pad(within, border, mode="symmetric"))


@given(sizes(40), sizes(40))
def test_a_letterbox_holds_the_whole_picture_in_its_middle(size, box):
    white = np.full((size[1], size[0], 3), 255, np.uint8)
    result = letterboxed(white, box)
    assert result.shape == (box[1], box[0], 3)
    assert set(np.unique(result)) <= {0, 255}
    scale = min(box[0] / size[0], box[1] / size[1])
    for axis in (0, 1):
        lit = np.flatnonzero(result.any(axis=(1 - axis, 2)))
        before, after = lit[0], box[1 - axis] - 1 - lit[-1]
        assert len(lit) == lit[-1] - lit[0] + 1
        assert 0 <= after - before <= 1
        assert len(lit) == 1 or abs(len(lit) - size[1 - axis] * scale) <= 0.5 + 1e-6


@given(sizes(5000), st.integers(1, 64))
def test_buckets_are_multiples_of_the_stride_that_get_smaller(size, stride):
    found = buckets(size, stride)
    assert all(length > 0 and length % stride == 0 for bucket in found for length in bucket)
    assert all(0 <= b - length < stride for b, length in zip(found[0], size, strict=True))
    for larger, smaller in itertools.pairwise(found):
        assert smaller != larger
        assert smaller[0] <= larger[0]
        assert smaller[1] <= larger[1]
