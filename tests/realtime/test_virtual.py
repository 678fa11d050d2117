import sys
from fractions import Fraction

import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime import virtual
from jaxstyle.realtime.letterbox import letterboxed
from jaxstyle.realtime.virtual import VirtualCameraSink


class Camera:
    """What pyvirtualcam's Camera promises, without a device."""

    device = "/dev/video9"
    error: Exception | None = None

    def __init__(self, width, height, fps):
        self.width, self.height, self.fps = width, height, fps
        self.sent, self.closed = [], False
        opened.append(self)

    def send(self, frame):
        if self.error:
            raise self.error
        assert frame.shape == (self.height, self.width, 3)
        assert frame.flags.c_contiguous
        self.sent.append(frame)

    def close(self):
        self.closed = True


opened: list[Camera] = []


@pytest.fixture
def cameras(monkeypatch):
    opened.clear()
    fake = type("pyvirtualcam", (), {"Camera": Camera})
    monkeypatch.setattr(virtual, "pyvirtualcam", fake)
    return opened


def picture(width, height, level=200):
    return Frame(np.full((height, width, 3), level, np.uint8), 0, 1)


def test_the_first_frame_decides_the_size_and_later_ones_are_fitted(cameras, capfd):
    with VirtualCameraSink(Fraction(30000, 1001)) as sink:
        sink.write(picture(64, 36))
        sink.write(picture(32, 18, level=100))
        sink.write(picture(36, 64, level=100))
        sink.finish()
    (camera,) = cameras
    assert (camera.width, camera.height) == (64, 36)
    assert camera.fps == pytest.approx(29.97, abs=1e-3)
    assert camera.closed
    assert (camera.sent[1] == 100).all()
    columns = camera.sent[2].any(axis=(0, 2))
    assert columns.sum() == 20
    assert columns[22:42].all()
    assert "/dev/video9, 64x36" in capfd.readouterr().err


def test_a_given_size_rules_and_odd_lengths_lose_a_pixel(cameras):
    with VirtualCameraSink(30, size=(41, 31)) as sink:
        sink.write(picture(64, 36))
    assert cameras[0].sent[0].shape == (30, 40, 3)


def test_views_of_larger_arrays_are_sent_too(cameras):
    wide = np.zeros((36, 100, 3), np.uint8)
    with VirtualCameraSink(30) as sink:
        sink.write(Frame(wide[:, :64], 0, 1))


@pytest.mark.parametrize("size", [(64, 36), (36, 64), (7, 5), (300, 2)])
def test_letterboxing_keeps_the_shape_and_centres(size):
    boxed = letterboxed(np.full((45, 80, 3), 255, np.uint8), size)
    assert boxed.shape == (size[1], size[0], 3)
    lit = np.argwhere(boxed.any(axis=2))
    (top, left), (bottom, right) = lit.min(axis=0), lit.max(axis=0) + 1
    scale = min(size[0] / 80, size[1] / 45)
    assert abs((right - left) - 80 * scale) <= 1
    assert abs((bottom - top) - 45 * scale) <= 1
    assert abs(left - (size[0] - right)) <= 1
    assert abs(top - (size[1] - bottom)) <= 1


def test_a_camera_that_goes_away_is_an_error(cameras):
    with VirtualCameraSink(30) as sink:
        sink.write(picture(64, 36))
        cameras[0].error = RuntimeError("no such device")
        with pytest.raises(UserError, match="no such device"):
            sink.write(picture(64, 36))
    assert cameras[0].closed


def test_without_the_package_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(virtual, "pyvirtualcam", None)
    with pytest.raises(UserError, match=r"pip install 'jaxstyle\[virtual\]'"):
        VirtualCameraSink(30)


@pytest.mark.parametrize(("platform", "cure"), [("linux", "v4l2loopback"), ("darwin", "OBS")])
def test_without_a_device_one_is_told_what_to_install(cameras, monkeypatch, platform, cure):
    def no_camera(*_):
        raise RuntimeError("'a' backend: none\n'b' backend: none")

    monkeypatch.setattr(virtual.pyvirtualcam, "Camera", no_camera)
    monkeypatch.setattr(sys, "platform", platform)
    with (
        VirtualCameraSink(30) as sink,
        pytest.raises(UserError, match=cure) as caught,
    ):
        sink.write(picture(64, 36))
    assert "\n" not in str(caught.value)


def test_the_real_package_without_a_device_is_refused_as_well():
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    try:
        pyvirtualcam.Camera(64, 36, 30).close()
    except RuntimeError:
        with VirtualCameraSink(30) as sink, pytest.raises(UserError, match="no virtual camera"):
            sink.write(picture(64, 36))
    else:
        pytest.skip("this machine has a virtual camera")
