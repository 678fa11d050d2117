import json
import os
import shutil
import struct
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.realtime.controls import KEYS, Controls
from jaxstyle.realtime.window import WindowSink, draw_panel, help_lines

pytestmark = pytest.mark.slow

# A program with the window: it does what it is told on stdin, and says in which state it is then.
PROGRAM = """
import dataclasses, json, queue, sys, threading
import cv2
import numpy as np
from jaxstyle.media.film import Frame
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.frame_sinks import SinkClosed
from jaxstyle.realtime.window import WindowSink

orders = queue.Queue()
controls = Controls(["ink", "anime", "film"])

def read():
    for line in sys.stdin:
        orders.put(json.loads(line))

def obey(sink, level=None, size=None, close=False, **settings):
    if size:
        sink.write(Frame(np.full((size[1], size[0], 3), (level, 100, 0), np.uint8), 0, 1))
    if close:
        cv2.destroyWindow("jaxstyle")
    controls.change(settings)

def say(**more):
    state = {"finished": controls.finished.is_set(), "snapshot": controls.take_snapshot()}
    print(json.dumps({**dataclasses.asdict(controls.settings), **state, **more}), flush=True)

threading.Thread(target=read, daemon=True).start()
with WindowSink(controls, overlay=lambda: ["29.8 fps", "latency 41 ms"]) as sink:
    try:
        while True:
            # The order waits until the window has had its time for what came before.
            sink.poll(0.05)
            if not orders.empty():
                obey(sink, **orders.get())
                sink.poll(0.05)
                say()
                controls.finished.clear()
    except SinkClosed:
        say(closed=True)
"""


class Window:
    """The program's window on a screen of its own."""

    def __init__(self, folder):
        read, write = os.pipe()
        self._screen = folder / "Xvfb_screen0"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-fbdir", folder],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            self._environment = {**os.environ, "DISPLAY": f":{pipe.readline().strip()}"}
        self.program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Without a window manager, Qt sometimes misses that its window has appeared, and never
        # draws into it. It does once the window appears again.
        (window,) = self.xdotool("search", "--sync", "--onlyvisible", "--name", "^jaxstyle").split()
        self.xdotool("windowunmap", "--sync", window, "windowmap", "--sync", window)

    def tell(self, **order):
        """Returns the state of the program once the order is carried out."""
        self.program.stdin.write(json.dumps(order) + "\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def press(self, key):
        self.xdotool("windowfocus", "--sync", self.id())
        self.xdotool("key", key)
        return self.tell()

    def id(self):
        return self.xdotool("search", "--name", "^jaxstyle").split()[-1]

    def xdotool(self, *arguments):
        return subprocess.run(
            ["xdotool", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=10,
        ).stdout

    def pixels(self, until=lambda screen: screen.any()):
        """What the screen shows: RGB uint8 [900, 1400, 3]; waits `until` it is what it should be.

        On a busy machine the screen follows the program late. After ten seconds it is returned
        as it is.
        """
        deadline = time.monotonic() + 10
        while not until(screen := self._screenshot()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return screen

    def _screenshot(self):
        """From the server's file, in XWD format."""
        data = self._screen.read_bytes()
        header = struct.unpack(">25I", data[:100])
        width, height, row_bytes, colors = header[4], header[5], header[12], header[19]
        start = header[0] + 12 * colors
        rows = np.frombuffer(data, np.uint8, row_bytes * height, start).reshape(height, -1, 4)
        return rows[:, :width, 2::-1]

    def close(self):
        for process in (self.program, self._server):
            process.terminate()
            process.communicate()


@pytest.fixture
def window(tmp_path):
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("no Xvfb and xdotool to show windows with")
    window = Window(tmp_path)
    yield window
    window.close()


XDOTOOL_NAMES = {"+": "plus", "=": "equal", "-": "minus", " ": "space", "\x1b": "Escape"}


def test_every_key_does_what_it_stands_for(window):
    # From the middle, every control has room both ways.
    middle = {"style": 1, "mix": 0.4, "strength": 0.4, "smoothing": 0.4}
    window.tell(size=(640, 360), level=200)
    expected = Controls(["ink", "anime", "film"])
    for key in KEYS:
        expected.change(middle)
        before = window.tell(**middle)
        expected.press(key)
        state = window.press(XDOTOOL_NAMES.get(key, key))
        changed = {name for name in state if state[name] != before[name]}
        assert changed, f"{key!r} does nothing"
        for name in changed - {"finished", "snapshot"}:
            assert state[name] == getattr(expected.settings, name), f"{key!r} sets {name}"
        if "finished" in changed:
            assert KEYS[key] == "quit"
        if "snapshot" in changed:
            assert KEYS[key] == "snapshot"


def test_the_window_follows_the_pictures(window):
    for level, size in [(200, (640, 360)), (90, (320, 180)), (250, (1000, 562))]:
        window.tell(size=size, level=level)
        screen = window.pixels(until=lambda screen, level=level: screen[350, 630, 0] == level)
        # The first picture gives the window its size; the others are scaled into it.
        np.testing.assert_array_equal(screen[180, 320], (level, 100, 0))
        np.testing.assert_array_equal(screen[350, 630], (level, 100, 0))
        assert not screen[400:, 700:].any()
    time.sleep(0.6)  # titles change twice a second
    window.tell(size=(640, 360), level=1, style=1)
    time.sleep(0.6)
    window.tell(size=(640, 360), level=1)
    title = window.xdotool("getwindowname", window.id())
    assert title.startswith("jaxstyle: anime, ")
    assert title.endswith(" fps\n")


def test_a_large_picture_fits_on_a_small_screen_as_a_whole(window):
    window.tell(size=(1080, 1920), level=200)
    lit = np.argwhere(window.pixels().any(axis=2))
    height, width = lit.max(axis=0) + 1
    assert (width, height) == (405, 720)


def test_help_and_figures_come_and_go_while_the_picture_stands(window):
    window.tell(size=(640, 360), level=200)
    plain = window.pixels()[:360, :640].copy()
    for key, corner in [("h", np.s_[:200, 540:]), ("o", np.s_[:30, :60])]:
        window.press(key)
        window.tell()
        shown = window.pixels(until=lambda screen: (screen[:360, :640] != plain).any())[:360, :640]
        assert shown[corner].mean() < 0.7 * plain[corner].mean()
        assert (shown[corner].min(axis=2) > 200).any()  # white text
        window.press(key)
        window.tell()
        screen = window.pixels(until=lambda screen: (screen[:360, :640] == plain).all())
        np.testing.assert_array_equal(screen[:360, :640], plain)


def test_one_sees_that_it_records_and_that_it_is_paused(window):
    window.tell(size=(640, 360), level=0)
    window.tell(recording=True)
    window.tell()
    screen = window.pixels(until=lambda screen: (screen[:360, :640, 0] > 240).any())
    corner = screen[320:360, 560:640].astype(int)
    assert ((corner[..., 0] > 240) & (corner[..., 1:].max(axis=2) < 10)).sum() > 20
    window.tell(recording=False, paused=True)
    window.tell()
    screen = window.pixels(until=lambda screen: (screen[330:360, :80].min(axis=2) > 200).any())
    np.testing.assert_array_equal(screen[320:360, 560:640].reshape(-1, 3).min(axis=0), (0, 100, 0))
    assert (screen[330:360, :80].min(axis=2) > 200).any()


def test_closing_the_window_is_the_end_and_leaves_no_word(window):
    window.tell(size=(640, 360), level=0)
    state = window.tell(close=True)
    assert state["closed"]
    assert state["finished"]
    _, errors = window.program.communicate(timeout=10)
    assert window.program.returncode == 0
    assert errors == ""


def test_help_names_every_key_and_the_window_s_own_are_free():
    text = "\n".join(help_lines())
    for key, action in KEYS.items():
        assert {" ": "space", "\x1b": "Esc"}.get(key, key) in text
        assert action.replace("_", " ") in text
    assert not {"h", "o"} & set(KEYS)


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (360, 640), (90, 160), (1000, 2)])
def test_text_stays_inside_the_picture(size, monkeypatch):
    drawn = []

    def put_text(image, text, origin, font, scale, color, thickness, line_type):
        (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
        drawn.append((origin[0], origin[0] + width, origin[1]))

    monkeypatch.setattr("jaxstyle.realtime.window.cv2.putText", put_text)
    picture = np.full((size[1], size[0], 3), 200, np.uint8)
    lines = [*help_lines(), "a line that is much longer than any other " * 3]
    for right in (False, True):
        draw_panel(picture, lines, right=right)
    assert len(drawn) == 2 * len(lines)
    # Text is drawn at whole pixels.
    assert min(left for left, _, _ in drawn) >= 0
    assert max(right for _, right, _ in drawn) <= size[0] + 1
    assert max(baseline for _, _, baseline in drawn) <= size[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a display")
def test_without_a_display_a_window_is_an_error(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="no display"):
        WindowSink(Controls(["ink"]), overlay=list)
