"""Types of command-line arguments that several commands take, for argparse."""

import argparse
from collections.abc import Callable
from fractions import Fraction


def frame_size(text: str) -> tuple[int, int]:
    """(width, height) in pixels from text such as 640x360."""
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        width, height = 0, 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 640x360")
    return width, height


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def rate(text: str) -> Fraction:
    """A number a second, above 0 and at most 1000, such as 25, 23.976 or 30000/1001."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate between 0 and 1000")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 0 and 1")
    return value


def seconds(text: str) -> float:
    """A number of seconds above 0, an hour at most."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds between 0 and 3600")
    return value


def listed[T](item: Callable[[str], T]) -> Callable[[str], list[T]]:
    """The argparse type of comma-separated items."""

    def parse(text: str) -> list[T]:
        return list(dict.fromkeys(item(part) for part in text.split(",") if part))

    return parse
