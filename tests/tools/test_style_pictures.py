"""The pictures of a style that ships."""

import io

import numpy as np
import pytest
from PIL import Image

from tools.style_pictures import (
    clip_strip,
    jpeg_within,
    mix_sheet,
    photo_sheet,
    picture_file,
    small_picture,
)

GREEN, RED = (0, 200, 0), (200, 0, 0)


def flat(color, height=40, width=60):
    return np.full((height, width, 3), color, np.uint8)


def test_a_jpeg_is_as_large_as_it_may_be():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    sizes = {}
    for most in (150_000, 60_000, 5_000):
        data = jpeg_within(noise, most)
        assert most / 2 < len(data) <= most
        sizes[most] = Image.open(io.BytesIO(data)).size
    assert sizes[150_000] == (300, 200)
    assert sizes[5_000][0] < sizes[60_000][0]
    with pytest.raises(ValueError, match="no JPEG"):
        jpeg_within(noise, 10)


def test_photos_of_any_shape_lie_beside_their_outputs():
    shapes = [(40, 60), (800, 400), (300, 2000)]
    photos = [flat(GREEN, *shape) for shape in shapes]
    sheet = photo_sheet(photos, [flat(RED, *shape) for shape in shapes])
    # Two are as high as it takes to fill a row, h, and the first is not enlarged.
    # 2 (60 + h / 2 + h 20 / 3) + 3 * 4 + 2 * 16 = 2400
    h = (2400 - 44 - 120) / (1 + 40 / 3)
    for color in (GREEN, RED):
        area = 40 * 60 + h * h * (1 / 2 + 20 / 3)
        assert (sheet == color).all(-1).sum() == pytest.approx(area, rel=0.01)
    assert 2380 < sheet.shape[1] <= 2400
    # Each output follows its photo, 4 pixels on.
    assert (sheet[:40, :60] == GREEN).all()
    assert (sheet[:40, 64:124] == RED).all()
    assert (sheet[40:, :124] == 255).all()


@pytest.mark.parametrize(
    "shapes",
    [
        [(512, 512), (300, 451), (400, 600), *[(512, 768)] * 3, (768, 512), *[(512, 768)] * 3],
        [(768, 512)] * 10,
        [(512, 512)] * 9,
    ],
)
def test_landscapes_squares_and_portraits_fill_their_rows(shapes):
    photos = [np.full((*shape, 3), 20 * i, np.uint8) for i, shape in enumerate(shapes)]
    sheet = photo_sheet(photos, photos)
    assert 2350 < sheet.shape[1] <= 2400
    assert (sheet < 255).any(-1).mean() > 0.9
    # In their order, row by row.
    seen = sheet[..., 0].ravel()
    firsts = [np.argmax(seen == 20 * i) for i in range(len(photos))]
    assert firsts == sorted(firsts)


def test_the_small_picture_has_a_row_for_each_style():
    photos = [flat(GREEN)] * 5
    picture = small_picture(photos, [[flat(RED)] * 5, [flat((0, 0, 200))] * 5])
    assert picture.shape == (638, 638, 3)
    for i, color in enumerate([GREEN, RED, (0, 0, 200)]):
        assert (picture[214 * i : 214 * i + 210, :210] == color).all()


def test_the_small_picture_of_many_styles_is_a_grid():
    """Row by row, and each on one photo of three."""
    greys = [[flat((10 * k, 10 * k, i)) for i in range(5)] for k in range(6)]
    picture = small_picture([flat(GREEN)] * 5, greys)
    assert picture.shape == (2 * 210 + 4, 4 * 210 + 12, 3)
    photo = (0, 2, 4)
    for k in range(6):
        row, column = divmod(k, 4)
        color = picture[214 * row + 5, 214 * column + 5]
        assert tuple(color) == (10 * k, 10 * k, photo[k % 3])
    assert (picture[219, 433:] == 255).all()


def test_a_strip_shows_the_same_pixels_of_consecutive_frames_where_there_is_detail():
    frames = np.zeros((6, 300, 520, 3), np.uint8)
    frames[:, 40:290, 270:510] = np.random.default_rng(0).integers(0, 99, (6, 250, 240, 3))
    strip = clip_strip(frames, 255 - frames)
    assert strip.shape == (2 * 256 + 4, 6 * 256 + 5 * 4, 3)
    for t in range(6):
        left = 260 * t
        shown = strip[:256, left : left + 256]
        # All the noise is in the crop, pixel for pixel.
        assert shown.astype(int).sum() == frames[t].astype(int).sum()
        np.testing.assert_array_equal(strip[260:, left : left + 256], 255 - shown)
    small = clip_strip(frames[:2, :50, :60], frames[:2, :50, :60])
    assert small.shape == (104, 124, 3)


def test_mixes_are_above_the_diagonal():
    mixes = {(i, j): flat((100 * i, 100 * j, 50)) for i in range(3) for j in range(i, 3)}
    sheet = mix_sheet(flat(GREEN), mixes)
    cells = [[tuple(sheet[388 * i + 5, 388 * j + 5].tolist()) for j in range(3)] for i in range(3)]
    white = (255, 255, 255)
    assert cells == [
        [(0, 0, 50), (0, 100, 50), (0, 200, 50)],
        [white, (100, 100, 50), (100, 200, 50)],
        [GREEN, white, (200, 200, 50)],
    ]


def test_files_have_names_that_a_link_can_hold():
    assert picture_file("cel", "photos") == "cel_photos.jpg"
    assert picture_file("many", "my clip (1)", "ukiyo-e") == "many_ukiyo-e_my_clip__1_.jpg"
