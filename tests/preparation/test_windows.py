import cv2
import numpy as np

from jaxstyle.preparation.windows import FilmFrame, sharpest_of_windows, sharpness

PICTURE = np.zeros((1, 1, 3), np.uint8)


def chosen(shots, sharpnesses, every, rate=10):
    """Numbers of the chosen frames."""
    frames = [
        (shot, FilmFrame(number, number / rate, PICTURE, PICTURE, sharp, 0.0))
        for number, (shot, sharp) in enumerate(zip(shots, sharpnesses, strict=True))
    ]
    picked = list(sharpest_of_windows(frames, every))
    assert [shot for shot, _ in picked] == [shots[frame.number] for _, frame in picked]
    return [frame.number for _, frame in picked]


def test_the_sharpest_of_every_window():
    sharpnesses = np.random.default_rng(0).permutation(40)
    expected = [
        first + int(np.argmax(sharpnesses[first : first + 10])) for first in range(0, 40, 10)
    ]
    assert chosen([0] * 40, sharpnesses, every=1) == expected


def test_windows_begin_anew_with_each_shot():
    # A window across the cut would have taken 9, and lost the second shot.
    assert chosen([0] * 10 + [1] * 10, range(20), every=1) == [9, 19]
    assert chosen([0] * 4 + [1] * 3, [3, 2, 1, 0, 5, 6, 7], every=1) == [0, 6]


def test_a_remainder_counts_from_half_a_window_on():
    assert chosen([0] * 14 + [1] * 10, range(24), every=1) == [9, 23]
    assert chosen([0] * 16 + [1] * 10, range(26), every=1) == [9, 15, 25]
    assert chosen([0] * 13, range(13), every=1) == [9]
    assert chosen([], [], every=1) == []


def test_blur_is_less_sharp():
    grey = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    blurred = [sharpness(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert sharpness(grey) > blurred[0] > blurred[1] > blurred[2] > blurred[3] > 0
    assert sharpness(np.full((60, 80), 7, np.uint8)) == 0
