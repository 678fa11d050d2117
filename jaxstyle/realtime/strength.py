"""Strength that follows the film's time: a curve through points of (seconds, strength)."""

import dataclasses
import itertools
import math

import numpy as np

from jaxstyle.errors import UserError


@dataclasses.dataclass(frozen=True)
class StrengthCurve:
    """Linear between its points, constant before the first and after the last.

    seconds: of the film, rising. strengths: at these, 0 to 1.
    """

    seconds: tuple[float, ...]
    strengths: tuple[float, ...]

    def at(self, seconds: float) -> float:
        """The strength at that time."""
        return float(np.interp(seconds, self.seconds, self.strengths))


def parse_strength(text: str) -> float | StrengthCurve:
    """A strength such as 0.5, or a curve of seconds:strength such as 0:0,2.5:1,10:0.3.

    Raises `UserError` if it is neither.
    """
    if ":" not in text:
        return _strength(text)
    points = [_point(part) for part in text.split(",")]
    seconds, strengths = zip(*points, strict=True)
    for before, after in itertools.pairwise(seconds):
        if after <= before:
            raise UserError(f"in {text} the time {after:g} does not come after {before:g}")
    return StrengthCurve(seconds, strengths)


def _point(text: str) -> tuple[float, float]:
    time, _, strength = text.partition(":")
    seconds = _number(time)
    if not 0 <= seconds < math.inf:
        raise UserError(f"{text} is not of the form seconds:strength, such as 2.5:1")
    return seconds, _strength(strength)


def _strength(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise UserError(f"{text} is not a number between 0 and 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
