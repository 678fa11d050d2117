from fractions import Fraction

import cv2
import numpy as np

from jaxstyle.media.film import FilmReader
from jaxstyle.preparation.shots import split_into_shots


def scene(seed, frames):
    """A textured picture that slowly pans."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 256, (9, 40, 3), np.uint8), (640, 90))
    return [wide[:, i : i + 160] for i in range(frames)]


def starts(frames):
    shots = [shot for shot, _ in split_into_shots(frames, lambda frame: frame, Fraction(24))]
    return np.flatnonzero(np.diff(shots, prepend=-1)).tolist()


def test_finds_every_cut_and_nothing_in_a_moving_picture():
    frames = scene(0, 40) + scene(1, 30) + scene(0, 30)
    assert starts(frames) == [0, 40, 70]


def test_passes_every_frame_on_in_order():
    for count in (0, 1, 2, 3, 30):
        passed = list(split_into_shots(range(count), lambda _: scene(0, 1)[0], Fraction(24)))
        assert passed == [(0, i) for i in range(count)]


def test_a_flash_is_no_shot():
    frames = scene(0, 60)
    frames[30] = np.full_like(frames[30], 255)
    assert len(starts(frames)) <= 2


def test_cuts_of_a_real_film(media):
    with FilmReader(media / "video/real/bbb_cutBunny.mp4") as film:
        small = [cv2.resize(frame.rgb, (320, 180)) for frame in film]
    assert starts(small) == [0, 235]
