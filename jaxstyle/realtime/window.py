"""A window with the live picture, whose keys are the controls."""

import collections
import os
import sys
import time
from collections.abc import Callable
from typing import Self

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime.controls import KEYS, Controls
from jaxstyle.realtime.frame_sinks import SinkClosed
from jaxstyle.realtime.letterbox import fitted

_NAME = "jaxstyle"
# The window opens no larger than this, so that it is on the screen of a small laptop as a whole.
_LARGEST_WINDOW = (1280, 720)
_SECONDS_BETWEEN_TITLES = 0.5

_HELP_KEY, _OVERLAY_KEY = "h", "o"
_KEY_NAMES = {" ": "space", "\x1b": "Esc"}

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _RED = (255, 255, 255), (0, 0, 255)  # as BGR
_NO_WINDOWS = "this OpenCV cannot open windows; install opencv-python, not the headless one"

# Pixels from one line of text to the next, at scale 1 of OpenCV's font.
_LINE_PITCH = 35
# So many lines of text make up the picture's height, unless there are more.
_LINES = 20
# Text on a picture lower than this would be too coarse to read: it is enlarged first.
_LEGIBLE_HEIGHT = 360


def window_system() -> str:
    """What OpenCV opens windows with, such as QT or COCOA; empty for a headless one."""
    return cv2.currentUIFramework()


def obstacle() -> str:
    """Why no window can be opened here, as far as can be told without opening one; else empty."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    # OpenCV's Qt would abort the process.
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
        return "no display to open a window on; write to a file instead"
    return "" if window_system() else _NO_WINDOWS


class WindowSink:
    """A window that shows every picture at once, with style and frames per second in its title.

    Its keys are those of `controls.KEYS`, and two for the window alone: h lists them all, o shows
    the lines that `overlay` gives. For the main thread only, as window systems demand.

    Raises `UserError` if there is no display, or an OpenCV without windows.
    """

    live = True

    def __init__(self, controls: Controls, *, overlay: Callable[[], list[str]]):
        if reason := obstacle():
            raise UserError(reason)
        self._controls = controls
        self._overlay = overlay
        self._help = False
        self._statistics = False
        self._frame: Frame | None = None
        self._look: tuple | None = None
        self._times: collections.deque[float] = collections.deque(maxlen=30)
        self._titled = 0.0
        try:
            # Qt's toolbar and status bar are all that would need, and miss, fonts of Qt's own.
            cv2.namedWindow(_NAME, cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise UserError(_NO_WINDOWS) from error

    def write(self, frame: Frame) -> None:
        """Shows the picture, of any size; raises `SinkClosed` if the viewer closed the window."""
        # Showing a picture would open a closed window again.
        self._raise_if_closed()
        if self._frame is None:
            height, width = frame.rgb.shape[:2]
            cv2.resizeWindow(_NAME, fitted((width, height), _LARGEST_WINDOW))
        self._frame = frame
        self._times.append(time.monotonic())
        self._show(frame)
        self.poll()

    def poll(self, seconds: float = 0.0) -> None:
        """Lets the window work for `seconds`, at least a millisecond, and obeys the keys.

        Raises `SinkClosed`, with `controls.finished` set, if the viewer closed the window.
        """
        end = time.monotonic() + seconds
        left = seconds
        while True:
            # Returns early, with the key, when one is pressed.
            key = cv2.waitKey(max(1, round(left * 1000)))
            self._raise_if_closed()
            if key != -1:
                self._press(chr(key & 0xFF))
            # While it is paused no picture comes that would show the change.
            if self._frame is not None and self._look != self._wanted_look():
                self._show(self._frame)
            left = end - time.monotonic()
            if left <= 0 or self._controls.finished.is_set():
                return

    def finish(self) -> None:
        """Nothing is left to complete: what was written has been seen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cv2.destroyAllWindows()

    def _press(self, key: str) -> None:
        if key == _HELP_KEY:
            self._help = not self._help
        elif key == _OVERLAY_KEY:
            self._statistics = not self._statistics
        else:
            self._controls.press(key)

    def _raise_if_closed(self) -> None:
        try:
            visible = cv2.getWindowProperty(_NAME, cv2.WND_PROP_VISIBLE)
        except cv2.error:  # OpenCV's Qt, once its last window is gone
            visible = -1
        # Before its first picture, a window may be there, 0, and not be seen yet.
        if visible < (0 if self._frame is None else 1):
            self._controls.finished.set()
            raise SinkClosed

    def _wanted_look(self) -> tuple[bool, bool, bool, bool]:
        settings = self._controls.settings
        return settings.recording, settings.paused, self._help, self._statistics

    def _show(self, frame: Frame) -> None:
        self._look = self._wanted_look()
        recording, paused, show_help, show_statistics = self._look
        # A copy, so that nothing is drawn into the picture that others get.
        bgr = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
        if any(self._look):
            bgr = _legible(bgr)
        if show_statistics:
            draw_panel(bgr, self._overlay())
        if show_help:
            draw_panel(bgr, help_lines(), right=True)
        if paused:
            draw_panel(bgr, ["paused"], bottom=True)
        if recording:
            draw_panel(bgr, ["REC"], right=True, bottom=True, dot=True)
        cv2.imshow(_NAME, bgr)
        self._show_title()

    def _show_title(self) -> None:
        now = time.monotonic()
        if now - self._titled < _SECONDS_BETWEEN_TITLES:
            return
        self._titled = now
        settings, styles = self._controls.settings, self._controls.styles
        shown = styles[settings.style]
        if settings.weights is not None:
            weighted = zip(styles, settings.weights, strict=True)
            shown = " + ".join(f"{weight:.0%} {style}" for style, weight in weighted if weight)
        title = f"{_NAME}: {shown}"
        if len(self._times) > 1:
            span = max(self._times[-1] - self._times[0], 1e-9)
            title += f", {(len(self._times) - 1) / span:.1f} fps"
        cv2.setWindowTitle(_NAME, title)


def help_lines() -> list[str]:
    """What each key does, one action a line."""
    keys = collections.defaultdict(list)
    for key, action in KEYS.items():
        keys[action.replace("_", " ")].append(_KEY_NAMES.get(key, key))
    keys["statistics"].append(_OVERLAY_KEY)
    keys["this help"].append(_HELP_KEY)
    return [f"{' '.join(names)}   {meaning}" for meaning, names in keys.items()]


def draw_panel(
    bgr: np.ndarray,
    lines: list[str],
    *,
    right: bool = False,
    bottom: bool = False,
    dot: bool = False,
) -> None:
    """Draws white lines of text on a darkened box into a corner of `bgr`, uint8 [H, W, 3].

    The text grows with the picture's height, and shrinks until it fits into the picture.
    dot: with a red one before the first line.
    """
    if not lines:
        return
    height, width = bgr.shape[:2]
    pitch = height / max(_LINES, len(lines) + 1)
    # A line's height is left for the margins, another one for the dot.
    text_width = _text_width(lines, pitch)
    pitch *= min(1.0, width / (text_width + (1 + dot) * pitch))
    box_width = min(width, round(_text_width(lines, pitch) + (1 + dot) * pitch))
    box_height = min(height, round((len(lines) + 0.6) * pitch))
    x = width - box_width if right else 0
    y = height - box_height if bottom else 0
    bgr[y : y + box_height, x : x + box_width] //= 4
    if dot:
        center = (round(x + 0.9 * pitch), round(y + 0.8 * pitch))
        cv2.circle(bgr, center, round(0.3 * pitch), _RED, cv2.FILLED, cv2.LINE_AA)
    for i, line in enumerate(lines):
        baseline = (round(x + (0.5 + dot) * pitch), round(y + (i + 1) * pitch))
        cv2.putText(
            bgr, line, baseline, _FONT, pitch / _LINE_PITCH, _WHITE, _thickness(pitch), cv2.LINE_AA
        )


def _text_width(lines: list[str], pitch: float) -> int:
    scale, thickness = pitch / _LINE_PITCH, _thickness(pitch)
    return max(cv2.getTextSize(line, _FONT, scale, thickness)[0][0] for line in lines)


def _thickness(pitch: float) -> int:
    return max(1, round(pitch / _LINE_PITCH))


def _legible(bgr: np.ndarray) -> np.ndarray:
    """The picture, enlarged if text on it could not be read."""
    height, width = bgr.shape[:2]
    scale = min(_LEGIBLE_HEIGHT / height, _LARGEST_WINDOW[0] / width)
    return bgr if scale <= 1 else cv2.resize(bgr, None, fx=scale, fy=scale)
