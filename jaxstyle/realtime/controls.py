"""What a person changes while it runs: styles, strength, split view, pause, snapshot, record, quit.

The same controls are reached by keys (`KEYS`, in the window) and as JSON (over HTTP). None of them
changes a shape or a program: they are values that the compiled function takes.
"""

import dataclasses
import math
import reprlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxstyle.errors import UserError
from jaxstyle.inference.settings import Settings
from jaxstyle.realtime.strength import StrengthCurve


@dataclasses.dataclass(frozen=True)
class LiveSettings(Settings):
    """The controls at one moment: how frames are stylized, and what is done with them.

    paused: the last picture stays. recording: frames go to a film as well.
    """

    paused: bool = False
    recording: bool = False


_FRACTIONS = ("mix", "strength", "split", "smoothing")
_SWITCHES = ("paused", "recording")
_STEP = 0.1
# The strongest smoothing: with more, what stands still would never settle.
_MOST_SMOOTHING = 0.9
# Only their ratios count; far larger ones have no finite sum.
_MOST_WEIGHT = 1_000_000


class Controls:
    """The settings in force, changed from any thread.

    styles: their names, in order. bundles: for each style the number of the bundle that it comes
    from; by default each has its own. Styles of one bundle can be mixed by weights. curve: what
    the strength follows until somebody sets it.
    `finished` is set once a person wants to leave.
    """

    def __init__(
        self,
        styles: Sequence[str],
        settings: LiveSettings | None = None,
        *,
        bundles: Sequence[int] | None = None,
        curve: StrengthCurve | None = None,
    ):
        self.styles = tuple(styles)
        self.bundles = tuple(range(len(styles)) if bundles is None else bundles)
        self.finished = threading.Event()
        self._settings = settings or LiveSettings()
        self._curve = curve
        self._snapshots = 0
        self._lock = threading.Lock()

    @property
    def settings(self) -> LiveSettings:
        """The settings now; a frame is made with one such picture of them."""
        return self._settings

    def settings_at(self, seconds: float) -> LiveSettings:
        """The settings for the frame at that time of the film: a curve sets their strength."""
        with self._lock:
            if self._curve is not None:
                strength = self._curve.at(seconds)
                self._settings = dataclasses.replace(self._settings, strength=strength)
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
        """Sets fields of `LiveSettings` by name, all or none; `style` also by its name.

        `weights` are a number for each style, or for some by their names, {"ink": 1, "wave": 0.5},
        and are scaled to a sum of 1; setting `style` or `mix` ends them. Raises `UserError` for
        an unknown field, or a value of another type or out of range.
        """
        with self._lock:
            checked = {name: self._checked(name, value) for name, value in values.items()}
            self._set(**checked)

    def take_snapshot(self) -> bool:
        """Whether a picture is asked for that nobody has taken yet; the caller takes it."""
        with self._lock:
            wanted = self._snapshots > 0
            self._snapshots -= wanted
            return wanted

    def _checked(self, name: str, value: Any) -> Any:
        if name == "style":
            if isinstance(value, str) and value in self.styles:
                return self.styles.index(value)
            if type(value) is int and 0 <= value < len(self.styles):
                return value
            raise UserError(f"no style {value!r}; there are: {', '.join(self.styles)}")
        if name == "weights":
            return None if value is None else self._checked_weights(value)
        if name in _FRACTIONS:
            most = _MOST_SMOOTHING if name == "smoothing" else 1
            if type(value) in (int, float) and 0 <= value <= most:
                return float(value)
            raise UserError(f"{name} is {value!r}; it must be a number between 0 and {most}")
        if name in _SWITCHES:
            if isinstance(value, bool):
                return value
            raise UserError(f"{name} is {value!r}; it must be true or false")
        known = ", ".join(field.name for field in dataclasses.fields(LiveSettings))
        raise UserError(f"no setting {name!r}; there are: {known}")

    def _checked_weights(self, value: Any) -> tuple[float, ...]:
        if isinstance(value, Mapping):
            for name in value:
                self._checked("style", name)
            value = [value.get(name, 0) for name in self.styles]
        if not isinstance(value, list | tuple) or len(value) != len(self.styles):
            raise UserError(f"weights are {value!r}; give a number for each style, or some by name")
        for weight in value:
            if type(weight) not in (int, float) or not 0 <= weight <= _MOST_WEIGHT:
                raise UserError(
                    f"a weight is {reprlib.repr(weight)}; "
                    f"it must be a number between 0 and {_MOST_WEIGHT}"
                )
        if len({bundle for bundle, w in zip(self.bundles, value, strict=True) if w}) > 1:
            raise UserError("weights mix styles of one model; of two models, use style and mix")
        total = math.fsum(value)
        if total == 0:
            raise UserError("weights are all 0; one at least must be more")
        return tuple(weight / total for weight in value)

    def _set(self, **values: Any) -> None:
        """Replaces settings, and ends what the new ones take the place of."""
        if "strength" in values:
            self._curve = None
        if "weights" not in values and not values.keys().isdisjoint(("style", "mix")):
            values["weights"] = None
        self._settings = dataclasses.replace(self._settings, **values)

    def _move_style(self, by: int) -> None:
        self._set(style=(self._settings.style + by) % len(self.styles), mix=0.0)

    def _move(self, name: str, by: float) -> None:
        most = _MOST_SMOOTHING if name == "smoothing" else 1.0
        self._set(**{name: min(most, max(0.0, round(getattr(self._settings, name) + by, 3)))})

    def _toggle(self, name: str) -> None:
        value = getattr(self._settings, name)
        self._set(**{name: (0.0 if value else 0.5) if name == "split" else not value})

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
