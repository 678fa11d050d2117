from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jaxstyle.data.scenes import Scenes
from jaxstyle.media.images import read_image
from jaxstyle.preparation.credits import is_text_frame

NAMES = ["Directed by  Ada Lovelace", "Music  Clara Schumann", "Editing  Alice Guy", "Sound  D. D."]
FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")


def card(lines, *, ground=8, ink=235, size=24, font="DejaVuSans.ttf", shift=0):
    """A page of text of 1280x720 with noise, as it is seen at 640x360."""
    page = Image.new("L", (1280, 720), ground)
    draw, face = ImageDraw.Draw(page), ImageFont.truetype(FONTS / font, size)
    for i, line in enumerate(lines):
        y = 720 * (i + 1) / (len(lines) + 1) - shift
        draw.text((640, y), line, ink, face, anchor="mm")
    noisy = np.asarray(page) + np.random.default_rng(0).normal(0, 3, (720, 1280))
    return cv2.resize(noisy.clip(0, 255).astype(np.uint8), (640, 360), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ground": 235, "ink": 10},
        {"ground": 60, "ink": 200},
        {"ground": 120, "ink": 190},
        {"size": 16},
        {"font": "DejaVuSerif-Italic.ttf", "size": 32},
    ],
)
def test_credits_on_any_even_ground(options):
    assert is_text_frame(card(NAMES, **options))


def test_titles_long_pages_and_every_moment_of_rolling_credits():
    assert is_text_frame(card(["THE END"], size=120))
    assert is_text_frame(card(["One year later"], size=60))
    assert is_text_frame(card(NAMES * 5, size=18))
    assert all(is_text_frame(card(NAMES * 2, shift=shift)) for shift in range(-300, 301, 60))


def test_pictures_are_not_text():
    flat = np.full((360, 640), 90, np.uint8)
    assert not is_text_frame(flat)
    disc = cv2.circle(flat.copy(), (320, 180), 60, 220, -1)
    assert not is_text_frame(disc)
    stars = np.zeros((360, 640), np.uint8)
    rng = np.random.default_rng(0)
    for x, y in rng.integers((0, 0), (640, 360), (60, 2)):
        cv2.circle(stars, (int(x), int(y)), int(rng.integers(1, 5)), 255, -1)
    assert not is_text_frame(stars)
    for image in Scenes("cel", count=12, size=(256, 256)):
        assert not is_text_frame(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def test_text_over_a_picture_is_beyond_it():
    scene = Scenes("photo", count=1, size=(360, 640))[0]
    over = cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
    text = card(NAMES, ground=0)
    assert not is_text_frame(np.maximum(over, text))


def test_no_real_photo_or_drawing_is_text(media):
    folders = ("photos/kodak", "photos/misc", "style/cartoon_penny_chip", "style/bbb_3d")
    paths = [path for name in folders for path in sorted((media / name).iterdir())[::4]]
    for path in paths:
        grey = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
        assert not is_text_frame(cv2.resize(grey, (640, 360), interpolation=cv2.INTER_AREA)), path
