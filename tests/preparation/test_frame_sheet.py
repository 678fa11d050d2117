import io

import numpy as np
from PIL import Image

from jaxstyle.preparation.frame_sheet import MOST, contact_sheet, thumbnail, time_code


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_time_codes():
    assert time_code(0) == "0:00:00.0"
    assert time_code(59.99) == "0:00:59.9"
    assert time_code(3723.45) == "1:02:03.4"


def test_pictures_stand_in_reading_order_with_their_shape():
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)] * 4
    cells = [(thumbnail(np.full((90, 160, 3), color, np.uint8)), "0:00") for color in colors]
    assert decoded(cells[0][0]).shape == (108, 192, 3)
    sheet = decoded(contact_sheet("film", cells))
    across, down = 192 + 6, 108 + 20 + 6
    for i, color in enumerate(colors):
        x, y = 6 + i % 10 * across + 96, 26 + i // 10 * down + 54
        np.testing.assert_allclose(sheet[y, x], color, atol=8)
    text = sheet[26 + 108 : 26 + 108 + 20, 6 : 6 + 60]
    assert text.min() < 100


def test_a_long_film_has_an_evenly_spaced_part_of_it():
    cell = thumbnail(np.zeros((20, 192, 3), np.uint8))
    few = decoded(contact_sheet("film", [(cell, "")] * MOST))
    many = decoded(contact_sheet("film", [(cell, "")] * (5 * MOST)))
    assert many.shape == few.shape


def test_a_few_pictures_make_a_narrow_sheet_that_has_room_for_its_title():
    cell = thumbnail(np.zeros((20, 192, 3), np.uint8))
    assert decoded(contact_sheet("film", [(cell, "")] * 3)).shape[1] == 3 * (192 + 6) + 6
    sheet = decoded(contact_sheet("a film with a long name " * 3, [(cell, "")]))
    assert sheet[:20, 300:].min() < 100
    assert sheet[:20, -4:].min() > 200


def test_a_title_is_one_line():
    assert contact_sheet("two\nlines", []) == contact_sheet("two lines", [])


def test_a_film_that_gives_nothing_has_an_empty_sheet():
    assert decoded(contact_sheet("film", [])).shape[0] < 40
