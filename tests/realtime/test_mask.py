from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmWriter, Frame
from jaxstyle.realtime.mask import Mask, open_mask

RATE = Fraction(25)


class Pictures:
    live = False

    def __init__(self, *pictures):
        self._pictures = pictures

    def __iter__(self):
        return (Frame(rgb, i, 1) for i, rgb in enumerate(self._pictures))


def grey(level, height=20, width=30):
    return np.full((height, width, 3), level, np.uint8)


def noise(seed, height=20, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_white_is_stylized_black_stays_and_grey_blends():
    levels = np.random.default_rng(2).integers(0, 256, (20, 30, 1), np.uint8)
    levels[0, :2, 0] = 0, 255
    frame, stylized = noise(0), noise(1)
    result = Mask(Pictures(np.repeat(levels, 3, axis=2))).blended(frame, stylized)
    share = levels / 255.0
    np.testing.assert_allclose(result, (1 - share) * frame + share * stylized, atol=0.501)
    np.testing.assert_array_equal(result[0, 0], frame[0, 0])
    np.testing.assert_array_equal(result[0, 1], stylized[0, 1])


def test_each_frame_has_its_mask_and_the_last_one_stays():
    mask = Mask(Pictures(grey(255), grey(0)))
    frame, stylized = grey(10), grey(200)
    shown = [mask.blended(frame, stylized).mean() for _ in range(4)]
    assert shown == [200, 10, 10, 10]


def test_mask_and_frame_take_the_size_of_the_result():
    picture = grey(0, 10, 10)
    picture[:, 5:] = 255
    mask = Mask(Pictures(picture))
    # A live frame that was computed at half its size, then one at full size.
    small = mask.blended(grey(10, 40, 80), grey(200, 20, 40))
    assert small.shape == (20, 40, 3)
    large = mask.blended(grey(10, 40, 80), grey(200, 40, 80))
    for result in (small, large):
        middle = result.shape[1] // 2
        assert (result[:, : middle - 8] == 10).all()
        assert (result[:, middle + 8 :] == 200).all()


def test_an_image_a_folder_and_a_film_are_masks(tmp_path):
    for i, level in enumerate((255, 0)):
        Image.fromarray(grey(level)).save(tmp_path / f"{i}.png")
    with FilmWriter(tmp_path / "m.mp4", time_base=1 / RATE, rate=RATE) as film:
        for i, level in enumerate((0, 255)):
            film.write(Frame(grey(level), i, 1))
        film.finish()
    for name, expected in (("0.png", [200, 200]), (".", [200, 10]), ("m.mp4", [10, 200])):
        mask = open_mask(str(tmp_path / name), RATE, live=False)
        shown = [mask.blended(grey(10), grey(200)).mean() for _ in expected]
        np.testing.assert_allclose(shown, expected, atol=1)
        mask.close()


def test_a_live_picture_takes_one_image(tmp_path):
    for i in range(2):
        Image.fromarray(grey(255)).save(tmp_path / f"{i}.png")
    open_mask(str(tmp_path / "0.png"), RATE, live=True).close()
    with pytest.raises(UserError, match="takes one image as its mask"):
        open_mask(str(tmp_path), RATE, live=True)
    with pytest.raises(UserError, match="nothing at"):
        open_mask(str(tmp_path / "nowhere.png"), RATE, live=False)


def test_transparent_parts_of_a_mask_are_black(tmp_path):
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., :3] = 255
    rgba[:, :10, 3], rgba[:, 10:20, 3] = 0, 51
    rgba[:, 20:, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "m.png")
    mask = open_mask(str(tmp_path / "m.png"), RATE, live=False)
    shown = mask.blended(grey(10), grey(210))[..., 0]
    # White of a fifth of the opacity, over black: a fifth of the way.
    np.testing.assert_allclose(shown[0, [5, 15, 25]], [10, 50, 210], atol=1)


def test_a_mask_that_cannot_be_read_is_an_error_and_shifts_none(tmp_path):
    for i in range(3):
        Image.fromarray(grey(255)).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"damaged")
    mask = open_mask(str(tmp_path), RATE, live=False)
    mask.blended(grey(10), grey(200))
    with pytest.raises(UserError, match=r"1\.png: not a readable image"):
        mask.blended(grey(10), grey(200))


def test_a_mask_knows_how_many_it_had():
    mask = Mask(Pictures(grey(255), grey(0)))
    for _ in range(2):
        mask.blended(grey(10), grey(200))
    assert (mask.count, mask.ended) == (2, False)
    mask.blended(grey(10), grey(200))
    assert (mask.count, mask.ended) == (2, True)
    with pytest.raises(UserError, match="not one frame"):
        Mask(Pictures()).blended(grey(10), grey(200))
