"""What has been done so far: a folder for each film, complete from the moment it appears."""

import dataclasses
import glob
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder
from jaxstyle.preparation import records
from jaxstyle.preparation.film_frames import RECORD, SHARD, Options, prepare_film

MANIFEST = "manifest.json"
_FILMS, _OPTIONS = "films", "options.json"


class Results:
    """The results of films in `out/films`, all made with the same options.

    Several processes, on several machines, may add to them at the same time. With `fresh`, what an
    earlier run made is removed first.

    Raises `UserError` if `out` was made with other options, holds something else, or cannot be
    written.
    """

    def __init__(self, out: Path, options: Options, *, fresh: bool = False):
        self.folder = out / _FILMS
        self._options = options
        # Of this process: no other one takes its unfinished work for its own.
        self._run = f"{socket.gethostname()}-{os.getpid()}"
        if out.exists() and not out.is_dir():
            raise UserError(f"{out} is a file; name a folder")
        if out.is_dir() and any(out.iterdir()) and not (self.folder / _OPTIONS).is_file():
            raise UserError(f"{out} holds something else already; name a new folder")
        if fresh:
            records.remove_data_set(out)
            (out / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        make_folder(self.folder)
        self._agree_on_options(out)

    def has(self, name: str) -> bool:
        """Whether a film is done, well or as one that cannot be read."""
        return (self.folder / name / RECORD).is_file()

    def record(self, name: str) -> dict[str, Any]:
        """What is known of a film that is done: of a broken one, only "error"."""
        return json.loads((self.folder / name / RECORD).read_text())

    def shard(self, name: str) -> Path:
        """The records of a film that is done and not broken."""
        return self.folder / name / SHARD

    def make(self, path: Path, name: str, progress: Callable[[int], None]) -> None:
        """Prepares a film. Raises `UserError` if the results cannot be written."""
        partial = self.folder / f".{name}.{self._run}.partial"
        try:
            partial.mkdir()
            try:
                prepare_film(path, name, partial, self._options, progress)
            except UserError as error:
                (partial / RECORD).write_text(json.dumps({"error": str(error)}, indent=1))
            try:
                partial.rename(self.folder / name)
            except OSError:
                # The same film, by another name, was done by another process meanwhile.
                if not self.has(name):
                    raise
        except OSError as error:
            raise UserError(f"cannot write {self.folder}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def remove_unfinished(self) -> None:
        """Removes what is left of this process's films that were broken off."""
        for partial in self.folder.glob(f".*.{glob.escape(self._run)}.partial"):
            shutil.rmtree(partial, ignore_errors=True)

    def remove_abandoned(self, name: str) -> None:
        """Removes what killed processes left of a film that has been done since."""
        for partial in self.folder.glob(f".{glob.escape(name)}.*.partial"):
            shutil.rmtree(partial, ignore_errors=True)

    def _agree_on_options(self, out: Path) -> None:
        path, ours = self.folder / _OPTIONS, dataclasses.asdict(self._options)
        if not path.is_file():
            # Tasks of an array start together: a name of its own for each, the same content in all.
            partial = self.folder / f".{self._run}.{_OPTIONS}"
            try:
                partial.write_text(json.dumps(ours, indent=1))
                partial.replace(path)
            except OSError as error:
                raise UserError(f"cannot write {path}: {error.strerror}") from error
        theirs = json.loads(path.read_text())
        differing = [
            f"{name} was {theirs.get(name)}, is {value}"
            for name, value in ours.items()
            if theirs.get(name) != value
        ]
        if differing:
            raise UserError(
                f"{out} was made with other options ({'; '.join(differing)}); "
                "give the same, another --out, or --fresh to begin anew"
            )
