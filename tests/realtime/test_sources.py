import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.film import FilmReader
from jaxstyle.realtime.sources import CameraSource, ImageSource, open_source, read_ahead, resized

RATE = Fraction(24)


def image(seed=0, height=12, width=16):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_kinds_are_told_by_content(tmp_path):
    Image.fromarray(image()).save(tmp_path / "still.dat", "PNG")
    stack = [Image.fromarray(image(seed)) for seed in range(3)]
    stack[0].save(tmp_path / "moving.gif", save_all=True, append_images=stack[1:], duration=100)
    assert isinstance(open_source(str(tmp_path / "still.dat"), RATE), ImageSource)
    with open_source(str(tmp_path / "moving.gif"), RATE) as film:
        assert isinstance(film, FilmReader)
        assert len(list(film)) == 3


def test_a_folder_gives_its_images_by_name_and_skips_broken_ones(tmp_path, capsys):
    (tmp_path / "sub").mkdir()
    for seed, name in enumerate(["b.png", "a.png", "sub/c.png"]):
        Image.fromarray(image(seed)).save(tmp_path / name)
    (tmp_path / "aa.png").write_bytes(b"broken")
    source = open_source(str(tmp_path), RATE)
    frames = list(source)
    assert [frame.name for frame in frames] == ["a.png", "b.png", "sub/c.png"]
    assert [frame.pts for frame in frames] == [0, 1, 2]
    np.testing.assert_array_equal(frames[0].rgb, image(1))
    assert source.skipped == 1
    assert "aa.png" in capsys.readouterr().err
    assert len(list(open_source(str(tmp_path / "*.png"), RATE))) == 2


def test_transparency_is_told_apart_from_opacity(tmp_path):
    alpha = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (12, 1))
    Image.fromarray(np.dstack([image(), alpha])).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([image(), np.full_like(alpha, 255)])).save(tmp_path / "b.png")
    clear, opaque = open_source(str(tmp_path), RATE)
    np.testing.assert_array_equal(clear.alpha, alpha)
    assert opaque.alpha is None


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="not a readable image"):
        list(open_source(str(tmp_path / "broken.png"), RATE))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in the folder"):
        open_source(str(tmp_path / "empty"), RATE)
    with pytest.raises(UserError, match="nothing at"):
        open_source(str(tmp_path / "missing.mp4"), RATE)


def test_a_camera_that_is_not_there_is_an_error():
    with pytest.raises(UserError, match="no camera number 97"):
        open_source("97", RATE)


class FakeCapture:
    """A camera that delivers three blue pictures and then fails."""

    def __init__(self, number):
        self.left = 3
        self.released = False

    def isOpened(self):
        return True

    def set(self, *_):
        return True

    def get(self, _):
        return 30.0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.tile(np.array([255, 0, 0], np.uint8), (4, 6, 1))

    def release(self):
        self.released = True


def test_a_camera_gives_rgb_on_its_own_clock(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    camera = CameraSource(0)
    frames = iter(camera)
    first, second, _ = next(frames), next(frames), next(frames)
    assert first.rgb[0, 0].tolist() == [0, 0, 255]
    assert first.pts == 0 <= second.pts
    with pytest.raises(UserError, match="stopped delivering"):
        next(frames)


def test_resizing_takes_alpha_along(tmp_path):
    Image.fromarray(np.dstack([image(), image()[..., 0]])).save(tmp_path / "a.png")
    (frame,) = open_source(str(tmp_path / "a.png"), RATE)
    smaller = resized(frame, (8, 4))
    assert smaller.rgb.shape == (4, 8, 3)
    assert smaller.alpha.shape == (4, 8)


def test_read_ahead_keeps_order_and_loses_nothing():
    assert list(read_ahead(iter(range(100)))) == list(range(100))


def test_read_ahead_raises_where_the_error_was():
    def items():
        yield 1
        raise UserError("broken")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(UserError, match="broken"):
        next(ahead)


def test_read_ahead_stops_its_thread_when_nobody_wants_more():
    before = threading.active_count()
    ahead = read_ahead(iter(range(10**9)))
    assert next(ahead) == 0
    ahead.close()
    assert threading.active_count() == before


def test_live_sources_show_the_latest_frame():
    done = threading.Event()

    def items():
        yield from range(50)
        done.set()
        while True:
            time.sleep(0.01)
            yield 50

    ahead = read_ahead(items(), latest_only=True)
    next(ahead)
    done.wait()
    assert next(ahead) >= 49
    ahead.close()
