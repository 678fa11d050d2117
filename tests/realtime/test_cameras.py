import contextlib
import http.server
import itertools
import re
import shutil
import socket
import subprocess
import threading
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmReader, FilmWriter, Frame
from jaxstyle.realtime import cameras
from jaxstyle.realtime.cameras import CameraSource, StreamSource, without_secrets

pytestmark = pytest.mark.slow

SMALL, LARGE = (64, 48), (96, 80)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cameras, "_FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(cameras, "_STALL_S", 0.5)


def picture(size, level=0):
    return np.full((size[1], size[0], 3), level, np.uint8)


class Camera:
    """What is plugged in, in the order of its openings; None is a socket with nothing in it.

    Each of them is its size, how many pictures it gives, and what comes then: "fails" or "blocks".
    The pictures grow brighter, one level each.
    """

    def __init__(self, *lives):
        self.lives = list(lives)
        self.opened = []
        self.unblocked = threading.Event()

    def open(self, *address):
        self.opened.append(address)
        alive = self.lives.pop(0) if self.lives else None
        return FakeCapture(self, *(alive or (None, 0, "fails")))


class FakeCapture:
    interval = 0.01

    def __init__(self, camera, size, count, then):
        self.camera, self.size, self.count, self.then = camera, size, count, then
        self.given = 0
        self.properties = {cv2.CAP_PROP_FPS: 30.0}

    def isOpened(self):
        return self.size is not None

    def set(self, name, value):
        self.properties[name] = value

    def get(self, name):
        return self.properties[name]

    def read(self):
        if self.given == self.count:
            if self.then == "blocks":
                self.camera.unblocked.wait()
            return False, None
        time.sleep(self.interval)
        self.given += 1
        return True, picture(self.size, self.given % 256)

    def release(self):
        pass


@pytest.fixture
def plugged(monkeypatch):
    """Plugs in a `Camera`, and at the end lets go what blocks in it."""
    cameras = []

    def plug(*lives):
        cameras.append(Camera(*lives))
        monkeypatch.setattr(cv2, "VideoCapture", cameras[-1].open)
        return cameras[-1]

    yield plug
    for camera in cameras:
        camera.unblocked.set()


def test_a_camera_that_is_not_there_is_an_error_in_one_line(capfd):
    with pytest.raises(UserError, match="camera 97 cannot be opened; is it plugged in"):
        CameraSource(97)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["film", "sequence"])
def test_opencvs_own_capture_of_a_file_stands_in_for_a_camera(tmp_path, monkeypatch, kind):
    """It ends like a camera that is unplugged, and can be opened again."""
    capture = cv2.VideoCapture
    if kind == "film":
        path = tmp_path / "a.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, SMALL)
        for level in range(5):
            writer.write(picture(SMALL, 40 * level))
        writer.release()
    else:
        path = tmp_path / "picture_%02d.png"
        for level in range(5):
            cv2.imwrite(str(path) % level, picture(SMALL, 40 * level))

    def open_slowly(*_):
        device = capture(str(path))

        class Slowed:
            def __getattr__(self, name):
                return getattr(device, name)

            def read(self):
                time.sleep(0.03)
                return device.read()

        return Slowed()

    monkeypatch.setattr(cv2, "VideoCapture", open_slowly)
    with contextlib.closing(CameraSource(0)) as camera:
        levels = {round(frame.rgb.mean() / 40) for frame in itertools.islice(camera, 12)}
        assert levels == {0, 1, 2, 3, 4}
        assert camera.size == SMALL
        assert camera.reconnects >= 1


def test_a_camera_gives_rgb_on_its_own_clock(plugged, monkeypatch):
    plugged((SMALL, 10**6, ""))
    blue = np.tile(np.array([255, 0, 0], np.uint8), (4, 6, 1))
    monkeypatch.setattr(FakeCapture, "read", lambda _: (time.sleep(0.01), (True, blue))[1])
    with contextlib.closing(CameraSource(0)) as camera:
        frames = iter(camera)
        first, second = next(frames), next(frames)
    assert first.rgb[0, 0].tolist() == [0, 0, 255]
    assert first.pts == 0 < second.pts < 10_000
    assert camera.live
    assert camera.rate == 30


def test_a_camera_that_is_unplugged_goes_on_when_it_is_back(plugged, capsys):
    camera = plugged((SMALL, 30, "fails"), None, (LARGE, 0, "fails"), (LARGE, 10**6, ""))
    source = CameraSource(0)
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) > 3 and frame.rgb.shape == (80, 96, 3):
            source.close()
    assert frames[0].rgb.shape == (48, 64, 3)
    assert source.size == LARGE
    assert source.reconnects == 1
    assert len(camera.opened) == 4
    pts = [frame.pts for frame in frames]
    assert pts == sorted(pts)
    assert capsys.readouterr().err.splitlines() == [
        "camera 0 has stopped delivering pictures; waiting for it to come back",
        "camera 0 is back, now 96x80",
    ]


def test_a_camera_whose_read_blocks_is_lost_and_opened_again(plugged, capsys):
    plugged((SMALL, 3, "blocks"), (SMALL, 10**6, ""))
    source = CameraSource(0)
    for _ in source:
        if source.reconnects:
            source.close()
    assert capsys.readouterr().err.splitlines() == [
        "camera 0 has sent nothing for 0.5 s; waiting for it to come back",
        "camera 0 is back",
    ]


@pytest.mark.parametrize("then", ["blocks", "fails"])
def test_closing_ends_the_iteration_while_a_read_blocks_or_the_camera_is_away(
    plugged, monkeypatch, then
):
    monkeypatch.setattr(cameras, "_STALL_S", 60)
    monkeypatch.setattr(cameras, "_FIRST_DELAY_S", 60)
    monkeypatch.setattr(cameras, "_RELEASE_S", 0.1)
    plugged((SMALL, 2, then))
    source = CameraSource(0)
    ended = threading.Event()

    def watch():
        for _ in source:
            pass
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    assert not ended.wait(0.2)
    source.close()
    assert ended.wait(5)


def test_attempts_to_come_back_grow_rarer_up_to_eight_seconds(plugged, monkeypatch):
    monkeypatch.undo()  # the real delays
    camera = plugged((SMALL, 2, "fails"))
    monkeypatch.setattr(cv2, "VideoCapture", camera.open)
    source = CameraSource(0)
    delays = []

    class NoWait(threading.Event):
        def wait(self, timeout=None):
            delays.append(timeout)
            return len(delays) > 6

    source._closed = NoWait()
    assert len(list(source)) <= 1
    assert delays[:6] == [0.5, 1, 2, 4, 8, 8]


def test_whoever_is_slow_gets_the_newest_picture(plugged):
    plugged((SMALL, 10**6, ""))
    with contextlib.closing(CameraSource(0)) as source:
        frames = iter(source)
        first = next(frames)
        time.sleep(0.5)
        second, third = next(frames), next(frames)
    assert int(second.rgb[0, 0, 0]) - int(first.rgb[0, 0, 0]) > 5
    assert int(third.rgb[0, 0, 0]) - int(second.rgb[0, 0, 0]) < 5


def test_what_the_camera_gives_instead_of_what_was_asked_for_is_told(plugged, capsys):
    plugged((SMALL, 10**6, ""))
    CameraSource(0, SMALL, Fraction(30)).close()
    assert capsys.readouterr().err == ""
    plugged((SMALL, 10**6, ""))
    CameraSource(0, LARGE, Fraction(30)).close()
    assert capsys.readouterr().err == (
        "camera 0 gives 64x48 at 30 frames/s, not what it was asked for\n"
    )


def test_a_camera_too_slow_for_raw_pictures_is_asked_for_jpeg(plugged, monkeypatch):
    asked = {}

    def get(self, name):
        return 30.0 if cv2.CAP_PROP_FOURCC in asked else 10.0

    monkeypatch.setattr(FakeCapture, "get", get)
    monkeypatch.setattr(FakeCapture, "set", lambda _, name, value: asked.update({name: value}))
    plugged((LARGE, 10**6, ""))
    source = CameraSource(0, LARGE)
    source.close()
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FRAME_HEIGHT]) == LARGE
    assert source.rate == 30


class Web(http.server.ThreadingHTTPServer):
    """Serves pictures of `size` without end at /mjpeg, and `film` at any other path.

    An answer breaks off after `cut` bytes of the film; parts of it are served if `ranges`.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.size = SMALL
        self.generation, self.stalled = 0, False
        self.film, self.cut, self.ranges = b"", None, True
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def restart(self, size=SMALL, *, stalled=False):
        """Ends the streams there are, or leaves them silent; new ones have this size."""
        self.size, self.stalled = size, stalled
        self.generation += 1

    def handle_error(self, *_):
        """A viewer who leaves is no error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/mjpeg":
            self.stream()
        else:
            self.send_film()

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        generation = self.server.generation
        jpeg = cv2.imencode(".jpg", picture(self.server.size, 100))[1].tobytes()
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
        while generation == self.server.generation:
            self.wfile.write(head + jpeg + b"\r\n")
            time.sleep(0.02)
        while self.server.stalled:
            time.sleep(0.02)

    def send_film(self):
        film, start = self.server.film, 0
        if self.server.ranges and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(film) - 1}/{len(film)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(film) - start))
        self.end_headers()
        self.wfile.write(film[start:][: self.server.cut])


@pytest.fixture
def web():
    with Web() as server:
        yield server
        server.restart()
        server.shutdown()


def test_a_stream_restarted_at_another_size_goes_on(web, capsys):
    source = StreamSource(web.url("mjpeg"))
    assert (source.live, source.total, source.size) == (True, None, SMALL)
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) == 3:
            web.restart(LARGE)
        if frame.rgb.shape == (80, 96, 3):
            source.close()
    assert frames[0].rgb.shape == (48, 64, 3)
    assert abs(int(frames[0].rgb.mean()) - 100) < 3
    assert source.reconnects == 1
    pts = [frame.pts for frame in frames]
    assert pts == sorted(pts)
    lost, back = capsys.readouterr().err.splitlines()
    assert lost.endswith("; waiting for it to come back")
    assert back == f"{web.url('mjpeg')} is back, now 96x80"


def test_a_stream_that_stalls_is_lost_and_opened_again(web, capsys):
    source = StreamSource(web.url("mjpeg"))
    for number, _ in enumerate(source):
        if number == 3:
            web.restart(stalled=True)
        if source.reconnects:
            source.close()
    lost, back = capsys.readouterr().err.splitlines()
    assert "has sent nothing for 0.5 s" in lost or "no answer" in lost
    assert back.endswith("is back")


def write_film(path, pictures):
    with FilmWriter(path, time_base=Fraction(1, 24), rate=Fraction(24)) as film:
        for i, rgb in enumerate(pictures):
            film.write(Frame(rgb, pts=i, duration=1))
        film.finish()
    return path.read_bytes()


def test_of_a_film_on_a_web_server_every_frame_comes_once(web, tmp_path):
    web.film = write_film(tmp_path / "a.mp4", [picture(LARGE, 20 * i) for i in range(12)])
    web.cut = len(web.film) // 2
    with contextlib.closing(StreamSource(web.url("a.mp4"))) as source:
        frames = []
        for frame in source:
            time.sleep(0.01)
            frames.append(frame)
    assert (source.live, source.total, source.rate) == (False, 12, 24)
    assert [frame.pts for frame in frames] == [round(1000 * i / 24) for i in range(12)]
    with FilmReader(tmp_path / "a.mp4") as film:
        for ours, direct in zip(frames, film, strict=True):
            np.testing.assert_array_equal(ours.rgb, direct.rgb)


def test_a_film_whose_server_breaks_off_is_not_taken_for_complete(web, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 96, 3), np.uint8)
    web.film = write_film(tmp_path / "a.mkv", noise)
    web.ranges = False
    web.cut = len(web.film) * 3 // 4
    with pytest.raises(UserError, match=r"a\.mkv has broken off"):
        list(StreamSource(web.url("a.mkv")))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@host:554/a", "rtsp://me:***@host:554/a"),
        ("rtsp://me:s@cr/et@host/a", "rtsp://me:***@host/a"),
        ("http://host:80/a?user=me&pwd=secret", "http://host:80/a?***"),
        ("udp://@239.0.0.1:1234", "udp://@239.0.0.1:1234"),
    ],
)
def test_messages_show_no_password(url, shown):
    assert without_secrets(url) == shown


def test_a_stream_that_is_not_there_is_an_error_without_its_password(capfd):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(UserError) as error:
        StreamSource(f"rtsp://me:secret@127.0.0.1:{port}/a")
    assert str(error.value).startswith(f"rtsp://me:***@127.0.0.1:{port}/a cannot be opened (")
    assert "secret" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_a_page_without_pictures_and_an_unknown_scheme_are_errors(web):
    web.film = b"<html>hello</html>"
    with pytest.raises(UserError, match="cannot be opened"):
        StreamSource(web.url("index.html"))
    with pytest.raises(UserError, match="no streams over file://"):
        StreamSource("file:///etc/hostname")


GSTREAMER = """
import sys, gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true pattern=green ! video/x-raw,framerate=30/1,width=%s,height=%s"
    " ! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 )" % tuple(sys.argv[2:])
)
server.get_mount_points().add_factory("/green", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


@contextlib.contextmanager
def gstreamer(port, size):
    """An RTSP server, rtsp://127.0.0.1:port/green; the system's Python has the bindings."""
    command = ["/usr/bin/python3", "-c", GSTREAMER, str(port), *map(str, size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            if server.stdout.readline() != b"ready\n":
                pytest.skip("no GStreamer RTSP server")
            yield
        finally:
            server.kill()


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no system Python")
def test_an_rtsp_server_may_be_killed_and_started_again_at_another_size(monkeypatch):
    monkeypatch.setattr(cameras, "_STALL_S", 3)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with gstreamer(port, (160, 96)):
        source = StreamSource(f"rtsp://127.0.0.1:{port}/green")
        frames = iter(source)
        first = next(frames)
    with gstreamer(port, (96, 160)), contextlib.closing(source):
        second = next(frame for frame in frames if source.reconnects)
    assert (first.rgb.shape, second.rgb.shape) == ((96, 160, 3), (160, 96, 3))
    for frame in (first, second):
        np.testing.assert_allclose(frame.rgb.mean((0, 1)), [0, 255, 0], atol=6)
    assert second.pts > first.pts


@pytest.mark.skipif(not shutil.which("live555MediaServer"), reason="no live555MediaServer")
def test_live555_starts_a_film_again_when_it_has_ended(tmp_path):
    write_film(tmp_path / "clip.mkv", [picture(LARGE)] * 30)
    command = ["live555MediaServer"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        try:
            # It takes port 554 where it may, else 8554, and says which.
            urls = (re.search(r"rtsp://[^/:]+(:\d+)?/", line) for line in server.stderr)
            port = next(filter(None, urls))[1] or ""
            with contextlib.closing(StreamSource(f"rtsp://127.0.0.1{port}/clip.mkv")) as source:
                shapes = {
                    f.rgb.shape
                    for f in itertools.takewhile(lambda _: not source.reconnects, source)
                }
        finally:
            server.kill()
    assert shapes == {(80, 96, 3)}
