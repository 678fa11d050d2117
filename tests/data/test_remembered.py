import pickle
import threading

import numpy as np
import pytest

from jaxstyle.data.remembered import Remembered

BYTES = 4 * 6 * 3  # of an image


class Counted:
    """Five images of their numbers, and how often each was decoded."""

    def __init__(self):
        self.decoded = [0] * 5

    def __len__(self):
        return 5

    def __getitem__(self, i):
        self.decoded[i] += 1
        return np.full((4, 6, 3), i, np.uint8)


def test_each_image_is_decoded_once_and_stays_what_it_is():
    source = Counted()
    images = Remembered(source, 1_000_000)
    assert len(images) == 5
    for _ in range(3):
        assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3, 4]
    assert source.decoded == [1] * 5
    assert images[2] is images[-3]
    assert images[2].shape == (4, 6, 3)


def test_nothing_is_decoded_before_it_is_asked_for():
    source = Counted()
    assert Remembered(source, 1_000_000)[3][0, 0, 0] == 3
    assert source.decoded == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_only_so_many_bytes_are_kept(kept):
    source = Counted()
    images = Remembered(source, kept * BYTES + BYTES // 2)
    for _ in range(3):
        # What does not fit is decoded anew, and no worse for that.
        assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3, 4]
    assert source.decoded == [1] * kept + [3] * (5 - kept)


def test_an_image_that_fits_exactly_is_kept():
    source = Counted()
    images = Remembered(source, BYTES)
    assert [image[0, 0, 0] for image in (images[4], images[4], images[4])] == [4, 4, 4]
    assert source.decoded == [0, 0, 0, 0, 1]


def test_it_counts_from_the_end_and_ends_as_other_sequences_do():
    images = Remembered(Counted(), 1_000_000)
    assert [images[i][0, 0, 0] for i in (-1, -5, 4, 0)] == [4, 0, 4, 0]
    for i in (5, -6):
        with pytest.raises(IndexError):
            images[i]
    assert [image[0, 0, 0] for image in reversed(images)] == [4, 3, 2, 1, 0]


def test_workers_get_it_without_what_is_kept_and_keep_their_own():
    images = Remembered(Counted(), 2 * BYTES)
    list(images)
    message = pickle.dumps(images)
    assert len(message) < len(pickle.dumps(Remembered(Counted(), 2 * BYTES))) + BYTES
    copy = pickle.loads(message)
    copy.source.decoded = [0] * 5
    for _ in range(2):
        assert [image[0, 0, 0] for image in copy] == [0, 1, 2, 3, 4]
    # As many as the limit allows, counted anew.
    assert copy.source.decoded == [1, 1, 2, 2, 2]


def test_threads_may_share_it():
    images = Remembered(Counted(), 3 * BYTES)
    wrong = []

    def read(seed):
        for i in np.random.default_rng(seed).integers(0, 5, 300):
            if images[i][0, 0, 0] != i:
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
