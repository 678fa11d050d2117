"""Folders that are complete, and on disk, from the moment they appear, and whose damage shows."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import flush

# In the folder: {path of each other file: its SHA-256}.
CHECKSUMS = "sha256.json"


class DamagedError(Exception):
    """A folder that is not as it was written; the message says which part, and how."""


def check_room(folder: Path, size: int) -> None:
    """Raises `OSError` if `size` more bytes in `folder` are too many for the disk or a quota."""
    if not hasattr(os, "posix_fallocate"):
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return
    probe = folder / "room"
    try:
        with probe.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    finally:
        probe.unlink(missing_ok=True)


def publish(partial: Path, folder: Path) -> None:
    """Adds checksums to a finished folder, has it outlast a power cut, and gives it its name.

    What has that name already is replaced; cut off in between, neither is left. Raises `OSError`.
    """
    files = [path for path in partial.rglob("*") if path.is_file()]
    sums = {path.relative_to(partial).as_posix(): _sha256(path) for path in files}
    (partial / CHECKSUMS).write_text(json.dumps(sums, indent=2))
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    old = _move_aside(folder) if folder.exists() else None
    partial.rename(folder)
    flush(folder.parent)
    if old:
        shutil.rmtree(old)


def remove(folder: Path) -> None:
    """Removes a folder, if it is there. Cut off midway, it leaves nothing of that name."""
    if folder.exists():
        old = _move_aside(folder)
        # Or a power cut could give what is left its name again.
        flush(folder.parent)
        shutil.rmtree(old)


def _move_aside(folder: Path) -> Path:
    return folder.rename(folder.with_name(f"{folder.name}.old.partial"))


def check_whole(folder: Path) -> bool:
    """Whether a folder has checksums that could be checked.

    Raises `DamagedError` if a file is missing or not as it was written, and `UserError` if one may
    not be read.
    """
    path = folder / CHECKSUMS
    try:
        if not path.exists():
            return False
        for name, expected in json.loads(path.read_bytes()).items():
            path = folder / name
            if _sha256(path) != expected:
                raise DamagedError(f"{name} is not as it was written")
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except OSError as error:
        raise DamagedError(f"{path.relative_to(folder)}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:  # no JSON, or no object
        raise DamagedError(f"{CHECKSUMS} is not as it was written") from error
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
