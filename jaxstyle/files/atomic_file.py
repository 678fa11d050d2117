"""Files that are complete, and on disk, from the moment they appear, and the folders they go to."""

import contextlib
import errno
import os
import sys
from collections.abc import Buffer, Iterator
from pathlib import Path

from jaxstyle.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows, where processes that fill one cache do the work twice
    fcntl = None  # type: ignore[assignment]


# Of Windows and of some network file systems, which flush no folders.
_NO_FLUSH = (errno.EACCES, errno.EBADF, errno.EINVAL)


def write_whole(path: Path, content: Buffer) -> None:
    """Writes a file beside its place, then moves it there. Raises `UserError` if it cannot."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_bytes(content)
        move_whole(beside, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def move_whole(partial: Path, path: Path) -> None:
    """Gives a finished file its name, in the same folder, so that a power cut costs neither it nor
    the one that had this name: afterwards there is one of the two. Raises `OSError`."""
    flush(partial)
    os.replace(partial, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on disk. Raises `OSError`."""
    is_folder = path.is_dir()
    try:
        # Windows flushes what may be written to only.
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not is_folder or error.errno not in _NO_FLUSH:
            raise


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, unless it is there. Raises `UserError` if it cannot."""
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in reversed(made):
            flush(one.parent)
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
