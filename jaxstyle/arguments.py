"""Types of command-line arguments that several commands take, and the parser that all have."""

import argparse
import re
from collections.abc import Callable, Sequence
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


# Modules whose command has another name.
_COMMANDS = {"main": "train", "show_config": "config show", "show_data": "data show"}


def command_parser(prog: str, description: str, details: str = "") -> argparse.ArgumentParser:
    """The parser of a command.

    prog: how it was called, "jaxstyle stylize" or "python -m jaxstyle.stylize". details: the text
    below the options, in whose examples commands are called as "python -m jaxstyle.X"; they are
    shown as this one was called.
    """
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=as_called(details, prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def as_called(text: str, prog: str) -> str:
    """The text with every "python -m jaxstyle.X" in it as whoever called `prog` would call X."""
    caller, _, _ = prog.partition("jaxstyle ")
    if caller == prog:
        return text

    def named(match: re.Match) -> str:
        command = _COMMANDS.get(match[1]) or match[1].replace(".", " ")
        return f"{caller}jaxstyle {command}"

    return re.sub(r"python -m jaxstyle\.([a-z_]+(?:\.[a-z_]+)*)", named, text)


def settings_parser(prog: str, description: str, details: str = "") -> argparse.ArgumentParser:
    """The parser of a command that takes settings of a recipe, for `parse_with_settings`."""
    parser = command_parser(prog, description, details)
    # --config.steps=3 is no --config.
    parser.allow_abbrev = False
    return parser


def parse_with_settings(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parses a command line that may have settings of a recipe, --config.NAME=VALUE.

    What the parser does not know is kept as it is, in "settings": only who reads the recipe can
    tell whether it is a setting.
    """
    args, settings = parser.parse_known_args(argv)
    args.settings = settings
    return args
