"""What a person changes while it runs: styles, strength, split view, pause, snapshot, record, quit.

The same controls are reached by keys (`KEYS`, in the window) and as JSON (over HTTP). None of them
changes a shape or a program: they are values that the compiled function takes.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence

from jaxstyle.errors import UserError


@dataclasses.dataclass(frozen=True)
class Settings:
    """The controls at one moment.

    style: the number of the style shown. mix: from 0, that style alone, to 1, the one after it.
    strength: from 0, the input, to 1, the style. split: how much of the picture's width shows the
    input, from the left, 0 to 1. smoothing: how much of the last output stays where the input did
    not change, 0 to 1. paused: the last picture stays. recording: frames go to a film as well.
    """

    style: int = 0
    mix: float = 0.0
    strength: float = 1.0
    split: float = 0.0
    smoothing: float = 0.0
    paused: bool = False
    recording: bool = False


_FRACTIONS = ("mix", "strength", "split", "smoothing")
_SWITCHES = ("paused", "recording")
_STEP = 0.1
# The strongest smoothing: with more, what stands still would never settle.
_MOST_SMOOTHING = 0.9


class Controls:
    """The settings in force, changed from any thread.

    styles: their names, in order. `finished` is set once a person wants to leave.
    """

    def __init__(self, styles: Sequence[str], settings: Settings | None = None):
        self.styles = tuple(styles)
        self.finished = threading.Event()
        self._settings = settings or Settings()
        self._snapshots = 0
        self._lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        """The settings now; a frame is made with one such picture of them."""
        return self._settings

    def act(self, action: str) -> None:
        """Does one of `ACTIONS`. Raises `UserError` if there is no such action."""
        if action not in ACTIONS:
            raise UserError(f"no action {action!r}; there are: {', '.join(ACTIONS)}")
        with self._lock:
            ACTIONS[action](self)

    def press(self, key: str) -> bool:
        """Does what a key stands for; False if it stands for nothing."""
        if key not in KEYS:
            return False
        self.act(KEYS[key])
        return True

    def change(self, values: Mapping[str, object]) -> None:
        """Sets fields of `Settings` by name, all or none; `style` also by its name.

        Raises `UserError` for an unknown field, or a value of another type or out of range.
        """
        with self._lock:
            checked = {name: self._checked(name, value) for name, value in values.items()}
            self._settings = dataclasses.replace(self._settings, **checked)

    def take_snapshot(self) -> bool:
        """Whether a picture is asked for that nobody has taken yet; the caller takes it."""
        with self._lock:
            wanted = self._snapshots > 0
            self._snapshots -= wanted
            return wanted

    def _checked(self, name: str, value: object) -> object:
        if name == "style":
            if isinstance(value, str) and value in self.styles:
                return self.styles.index(value)
            if type(value) is int and 0 <= value < len(self.styles):
                return value
            raise UserError(f"no style {value!r}; there are: {', '.join(self.styles)}")
        if name in _FRACTIONS:
            most = _MOST_SMOOTHING if name == "smoothing" else 1
            if type(value) in (int, float) and 0 <= value <= most:
                return float(value)
            raise UserError(f"{name} is {value!r}; it must be a number between 0 and {most}")
        if name in _SWITCHES:
            if isinstance(value, bool):
                return value
            raise UserError(f"{name} is {value!r}; it must be true or false")
        known = ", ".join(field.name for field in dataclasses.fields(Settings))
        raise UserError(f"no setting {name!r}; there are: {known}")

    def _move_style(self, by: int) -> None:
        style = (self._settings.style + by) % len(self.styles)
        self._settings = dataclasses.replace(self._settings, style=style, mix=0.0)

    def _move(self, name: str, by: float) -> None:
        most = _MOST_SMOOTHING if name == "smoothing" else 1.0
        value = min(most, max(0.0, round(getattr(self._settings, name) + by, 3)))
        self._settings = dataclasses.replace(self._settings, **{name: value})

    def _toggle(self, name: str) -> None:
        value = getattr(self._settings, name)
        value = (0.0 if value else 0.5) if name == "split" else not value
        self._settings = dataclasses.replace(self._settings, **{name: value})

    def _want_snapshot(self) -> None:
        self._snapshots += 1


ACTIONS: dict[str, Callable[[Controls], None]] = {
    "next_style": lambda controls: controls._move_style(1),
    "previous_style": lambda controls: controls._move_style(-1),
    "more_mix": lambda controls: controls._move("mix", _STEP),
    "less_mix": lambda controls: controls._move("mix", -_STEP),
    "stronger": lambda controls: controls._move("strength", _STEP),
    "weaker": lambda controls: controls._move("strength", -_STEP),
    "smoother": lambda controls: controls._move("smoothing", _STEP),
    "less_smooth": lambda controls: controls._move("smoothing", -_STEP),
    "split": lambda controls: controls._toggle("split"),
    "pause": lambda controls: controls._toggle("paused"),
    "record": lambda controls: controls._toggle("recording"),
    "snapshot": Controls._want_snapshot,
    "quit": lambda controls: controls.finished.set(),
}

# No capital letters: OpenCV's Qt windows do not tell them from small ones.
KEYS = {
    "n": "next_style",
    "p": "previous_style",
    "m": "more_mix",
    "l": "less_mix",
    "+": "stronger",
    "=": "stronger",  # the same key, without shift
    "-": "weaker",
    "f": "smoother",
    "d": "less_smooth",
    "b": "split",
    " ": "pause",
    "s": "snapshot",
    "r": "record",
    "q": "quit",
    "\x1b": "quit",
}
