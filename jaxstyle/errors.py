"""How jaxstyle tells a person that something they gave it cannot be used."""

import contextlib
import sys
from collections.abc import Iterator


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
