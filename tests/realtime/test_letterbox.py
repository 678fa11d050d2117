import itertools

import numpy as np
import pytest

from jaxstyle.realtime.letterbox import buckets, fitted, mirrored_into


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
