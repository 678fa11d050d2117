"""Files that are complete from the moment they appear, and the folders that they go to."""

import contextlib
import os
import sys
from collections.abc import Buffer, Iterator
from pathlib import Path

from jaxstyle.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows, where processes that fill one cache do the work twice
    fcntl = None  # type: ignore[assignment]


def write_whole(path: Path, content: Buffer) -> None:
    """Writes a file beside its place, then moves it there. Raises `UserError` if it cannot."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, unless it is there. Raises `UserError` if it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from error


@contextlib.contextmanager
def one_process_at_a_time(folder: Path, waiting_for: str) -> Iterator[None]:
    """Lets one process in at a time for a folder; the others wait, and say for what.

    Holds between machines where their file system can lock folders; where none can, does nothing.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process: {waiting_for}", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # of a network that knows no locks: the work is done twice
        yield
    finally:
        os.close(handle)
