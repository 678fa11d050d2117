"""Which films a command names, and names for them that cannot collide."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.data.sources import FILM_EXTENSIONS
from jaxstyle.errors import UserError
from jaxstyle.media.images import find_files

# Of the SHA-256 in a name: 48 bits, so that even a million films have names of their own.
_DIGITS = 12
# File systems allow 255 bytes for a name; a letter may take four of them.
_LONGEST_STEM = 50


def find_films(wheres: Sequence[str]) -> list[Path]:
    """The films that files, folders (searched with their subfolders) and globs name, each once.

    In the order of `wheres`, sorted within each. A file that is named outright may have any
    extension. Raises `UserError` where nothing is found.
    """
    films: dict[Path, Path] = {}
    for where in wheres:
        named = Path(where).expanduser()
        found = [named] if named.is_file() else find_files(where, FILM_EXTENSIONS)
        if not found:
            raise UserError(
                f"{where}: no films there; give a film, a folder or a quoted glob of "
                f"{' '.join(sorted(FILM_EXTENSIONS))}"
            )
        for film in found:
            films.setdefault(film.resolve(), film)
    return list(films.values())


def content_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal. Raises `UserError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def film_name(path: Path, sha256: str) -> str:
    """What a film's results are stored under: its file name and the beginning of its hash.

    So `a/ep1.mkv` and `b/ep1.mkv` stay apart, and a film that has moved is still known. It is valid
    Unicode, which file names need not be: "?" stands for each byte that is not.
    """
    stem = path.stem.encode("utf-8", "replace").decode()
    return f"{stem[:_LONGEST_STEM]}-{sha256[:_DIGITS]}"
