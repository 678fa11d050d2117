import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmReader
from jaxstyle.realtime import frame_sources
from jaxstyle.realtime.frame_sources import (
    ImageSource,
    RepeatedSource,
    open_source,
    resized,
)

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


def test_cameras_and_streams_are_told_by_their_names(monkeypatch):
    opened = []
    monkeypatch.setattr(frame_sources, "CameraSource", lambda *args: opened.append(args))
    monkeypatch.setattr(frame_sources, "StreamSource", lambda *args: opened.append(args))
    open_source("2", RATE, size=(640, 360), fps=Fraction(30))
    open_source("/dev/video97", RATE)
    open_source("/dev/v4l/by-id/usb-Some_Camera-video-index0", RATE)
    open_source("rtsp://host/a", RATE)
    assert opened == [
        (2, (640, 360), Fraction(30)),
        ("/dev/video97", None, None),
        ("/dev/v4l/by-id/usb-Some_Camera-video-index0", None, None),
        ("rtsp://host/a",),
    ]


def test_a_camera_path_that_is_not_there_is_an_error():
    with pytest.raises(UserError, match="camera /dev/video97 cannot be opened"):
        open_source("/dev/video97", RATE)


def test_a_numbered_sequence_comes_in_the_order_of_its_numbers(tmp_path):
    for name in ["f_8.png", "f_10.png", "f_9.png", "f_x.png", "f_1.jpg", "[f]%d_0003.png"]:
        Image.fromarray(image()).save(tmp_path / name)

    def names(pattern):
        return [frame.name for frame in open_source(str(tmp_path / pattern), RATE)]

    assert names("f_%d.png") == ["f_8.png", "f_9.png", "f_10.png"]
    assert names("f_%02d.png") == ["f_10.png"]
    assert names("[f]%d_%04d.png") == ["[f]%d_0003.png"]
    with pytest.raises(UserError, match="nothing at"):
        names("g_%d.png")


def test_repeated_images_are_shown_once_each_and_then_the_last_one_goes_on(tmp_path):
    for seed in range(3):
        Image.fromarray(image(seed)).save(tmp_path / f"{seed}.png")
    source = RepeatedSource(open_source(str(tmp_path), Fraction(50)))
    frames = []
    before = time.monotonic()
    for frame in source:
        frames.append(frame)
        if len(frames) == 10:
            source.close()
    assert [frame.name for frame in frames] == ["0.png", "1.png"] + ["2.png"] * 8
    assert time.monotonic() - before >= 9 / 50
    pts = [frame.pts for frame in frames]
    assert pts == sorted(set(pts))
    assert (source.live, source.total) == (True, None)


def test_a_repeated_image_keeps_to_the_clock_when_its_taker_is_slow(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.png")
    source = RepeatedSource(open_source(str(tmp_path / "a.png"), Fraction(50)))
    frames = iter(source)
    next(frames)
    time.sleep(0.3)
    assert next(frames).pts >= 15
    source.close()


def test_closing_wakes_a_repeated_image_that_waits(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.png")
    source = RepeatedSource(open_source(str(tmp_path / "a.png"), Fraction(1, 60)))
    threading.Timer(0.1, source.close).start()
    before = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - before < 30


def test_resizing_takes_alpha_along(tmp_path):
    Image.fromarray(np.dstack([image(), image()[..., 0]])).save(tmp_path / "a.png")
    (frame,) = open_source(str(tmp_path / "a.png"), RATE)
    smaller = resized(frame, (8, 4))
    assert smaller.rgb.shape == (4, 8, 3)
    assert smaller.alpha.shape == (4, 8)
