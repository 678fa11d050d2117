"""How jaxstyle tells a person that something they gave it cannot be used."""

import argparse
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

# 128 + SIGPIPE, which not every platform has: what a shell expects of who writes to a closed pipe.
_CLOSED_PIPE = 141


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


@contextlib.contextmanager
def quiet_without_a_reader() -> Iterator[None]:
    """Wraps a program: where who reads its output has left (`| head -1`), it ends with status 141.

    Output that is still buffered is written here, as Python itself would complain about it at exit.
    A `BrokenPipeError` of another pipe than stdout passes.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # closed from the start, `>&-`
                sys.stdout.flush()
    except BrokenPipeError:
        if sys.stdout is None or not _is_closed(sys.stdout.fileno()):
            raise
        # Python writes what is left once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CLOSED_PIPE)


def _is_closed(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # what is wrong with it is told unasked
    return bool(poll.poll(0))


def run_program(main: Callable[[], int]) -> NoReturn:
    """Runs the `main` of a module that `python -m` names, and exits with the status it returns."""
    with quiet_without_a_reader():
        sys.exit(main())


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
