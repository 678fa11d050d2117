import pickle

import numpy as np

from jaxstyle.data.augment import resized
from jaxstyle.data.scaled import Scaled


def images():
    rng = np.random.default_rng(0)
    sizes = ((20, 30), (48, 24), (16, 16))
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def test_each_image_is_there_at_each_side_with_its_aspect_ratio():
    scaled = Scaled(images(), (16, 24))
    assert [image.shape[:2] for image in scaled] == [
        *((16, 24), (32, 16), (16, 16)),
        *((24, 36), (48, 24), (24, 24)),
    ]
    assert len(scaled) == 6
    for i, image in enumerate(scaled):
        np.testing.assert_array_equal(image, resized(images()[i % 3], (16, 24)[i // 3]))


def test_an_image_of_that_side_is_left_as_it_is():
    np.testing.assert_array_equal(Scaled(images(), (16,))[2], images()[2])


def test_it_counts_from_the_end_and_pickles():
    scaled = Scaled(images(), [16, 24])
    copy = pickle.loads(pickle.dumps(scaled))
    np.testing.assert_array_equal(copy[-1], scaled[5])
    np.testing.assert_array_equal(copy[-6], scaled[0])


def test_downscaling_averages():
    """Nothing is picked out: what is too fine to be shown becomes its mean."""
    board = np.zeros((32, 32, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 200
    assert (Scaled([board], (8,))[0] == 100).all()
