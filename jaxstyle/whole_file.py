"""Files that are complete from the moment they appear, and the folders that they go to."""

import os
from pathlib import Path

from jaxstyle.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
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
