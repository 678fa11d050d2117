"""How jaxstyle tells a person that something they gave it cannot be used."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator


class UserError(Exception):
    """Bad input. The message is one line: what is wrong, and what to do about it."""


@contextlib.contextmanager
def reported_in_one_line() -> Iterator[None]:
    """Wraps an entry point: a `UserError` becomes one line on stderr and exit status 1."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def run_command(
    command: Callable[[argparse.Namespace], None], args: argparse.Namespace, interrupted: str
) -> int:
    """Runs what a command does; returns its exit status: 0, or 130 after Ctrl-C.

    interrupted: what Ctrl-C leaves behind, told on stderr. Raises `SystemExit` with status 1 where
    the command raises `UserError`, whose message is on stderr by then.
    """
    try:
        with reported_in_one_line():
            command(args)
    except KeyboardInterrupt:
        print(f"interrupted: {interrupted}", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0
