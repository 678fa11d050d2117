"""What a data set was made of, for people and programs."""

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxstyle.preparation.film_frames import Options
from jaxstyle.preparation.records import NAME, SPLIT


@dataclasses.dataclass(frozen=True)
class NamedFilm:
    """A film of the command line. name, sha256: None where it cannot even be read.

    copy_of: a film before it with the same content, which stands for both.
    error: why it cannot be read.
    """

    path: Path
    name: str | None = None
    sha256: str | None = None
    copy_of: Path | None = None
    error: str | None = None


def manifest(
    films: Sequence[NamedFilm],
    records: Mapping[str, Mapping[str, Any]],
    options: Options,
    licence: str,
) -> dict[str, Any]:
    """The manifest: JSON types alone, the same for the same films and options.

    records: of each film that was prepared, by its name. "frames" has the order of the examples of
    the data set; times are seconds, crops left, top, width, height in pixels of the film.
    """
    described, skipped, frames = [], [], []
    dropped: collections.Counter[str] = collections.Counter()
    for film in films:
        reason = skip_reason(film, records)
        if reason or film.name is None:
            skipped.append({"path": str(film.path), "sha256": film.sha256, "reason": reason})
            continue
        record = records[film.name]
        kept = record["kept"]
        about = {key: value for key, value in record.items() if key != "kept"}
        described.append(
            {"film": film.name, "path": str(film.path), "sha256": film.sha256}
            | about
            | {"kept": len(kept)}
        )
        dropped.update(record["dropped"])
        frames += [{"film": film.name} | frame for frame in kept]
    return {
        "data_set": NAME,
        "split": SPLIT,
        "licence": licence,
        "options": dataclasses.asdict(options),
        "kept": len(frames),
        "dropped": dict(sorted(dropped.items())),
        "films": described,
        "skipped": skipped,
        "frames": frames,
    }


def skip_reason(film: NamedFilm, records: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why a film gives nothing, in a line; None if it was prepared."""
    if film.copy_of:
        return f"{film.path} has the same content as {film.copy_of}"
    if film.error or film.name is None:
        return film.error
    return records[film.name].get("error")


def as_json(content: Mapping[str, Any]) -> bytes:
    """UTF-8, indented, a line for each frame; "?" for bytes of file names that are no UTF-8."""
    frames = ",\n".join(f"  {json.dumps(frame)}" for frame in content["frames"])
    rest = {key: value for key, value in content.items() if key != "frames"}
    head = json.dumps(rest, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{head},\n "frames": [\n{frames}\n ]\n}}\n'.encode("utf-8", "replace")
