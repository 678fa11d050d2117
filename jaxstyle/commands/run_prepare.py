"""Films to training frames: what `jaxstyle.prepare` does."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.preparation import records
from jaxstyle.preparation.film_frames import Options
from jaxstyle.preparation.films import content_hash, film_name, find_films
from jaxstyle.preparation.manifest import NamedFilm, as_json, manifest, skip_reason
from jaxstyle.preparation.results import MANIFEST, Results
from jaxstyle.preparation.workers import prepare_films


def slurm_shard(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """(index, count) of a task in an array job of Slurm's, None elsewhere.

    Raises `UserError` for arrays whose numbers are not evenly spaced, as in --array=1,2,5: which
    of how many a task is cannot be told from them.
    """
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return None
    task, first, last, step, count = (
        int(environment[f"SLURM_ARRAY_TASK_{name}"])
        for name in ("ID", "MIN", "MAX", "STEP", "COUNT")
    )
    if (last - first) // step + 1 != count:
        raise UserError("the numbers of this array job are not evenly spaced; give --shard=I/N")
    return (task - first) // step, count


def prepare(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.prepare` is asked for."""
    if args.format == "png" and args.quality is not None:
        raise UserError("--quality is that of JPEG; PNG has none")
    shard = args.shard or slurm_shard(os.environ) or (0, 1)
    if args.fresh and shard[1] > 1:
        raise UserError("--fresh would remove what other shards do; remove the folder before them")
    options = Options(args.every, args.size, args.format, args.quality or 95, args.duplicates)
    paths = find_films(args.films)
    results = Results(args.out, options, fresh=args.fresh)
    films = _named(paths[shard[0] :: shard[1]])
    missing = [
        (film.path, film.name)
        for film in films
        if film.name and not film.copy_of and not results.has(film.name)
    ]
    if missing:
        prepare_films(missing, results, args.jobs)
    films_done = {
        film.name: results.record(film.name) for film in films if film.name and not film.copy_of
    }
    for film in films:
        if reason := skip_reason(film, films_done):
            print(f"skipped: {reason}", file=sys.stderr)
    if shard[1] > 1:
        print(
            f"{len(films)} of {len(paths)} films done; the same command without --shard, outside "
            "of the array job, makes the data set",
            file=sys.stderr,
        )
    else:
        _assemble(args, options, results, films, films_done)


def _assemble(
    args: argparse.Namespace,
    options: Options,
    results: Results,
    films: Sequence[NamedFilm],
    films_done: Mapping[str, Mapping],
) -> None:
    """Makes the data set of what is done, unless it is there already."""
    content = manifest(films, films_done, options, args.licence)
    if not content["films"]:
        raise UserError(f"none of {len(films)} films can be read; nothing is written")
    if not content["frames"]:
        raise UserError(
            f"nothing is worth keeping in {len(content['films'])} films; "
            f"look at {results.folder}/*/dropped.jpg"
        )
    path = args.out / MANIFEST
    if not (
        records.is_complete(args.out) and path.is_file() and path.read_bytes() == as_json(content)
    ):
        shards = [
            (results.shard(film["film"]), film["kept"]) for film in content["films"] if film["kept"]
        ]
        try:
            records.assemble(
                args.out,
                shards,
                image_format=options.image_format,
                description=f"Frames of {len(shards)} films, prepared by jaxstyle.",
                licence=args.licence,
            )
        except OSError as error:
            raise UserError(f"cannot write {args.out}: {error.strerror or error}") from error
        write_whole(path, as_json(content))
    for film in content["films"]:
        results.remove_abandoned(film["film"])
    dropped = ", ".join(f"{count} {reason}" for reason, count in content["dropped"].items())
    print(
        f"{content['kept']} frames of {len(content['films'])} films in {args.out} "
        f"(dropped: {dropped or 'none'}); train on --config.data.style=tfds:{args.out}",
        file=sys.stderr,
    )


def _named(paths: Sequence[Path]) -> list[NamedFilm]:
    """Films with their names and hashes; reads them all, which is bound by the disk."""
    films: list[NamedFilm] = []
    first_of: dict[str, Path] = {}
    size = sum(path.stat().st_size for path in paths)
    with tqdm(total=size, desc="reading", unit="B", unit_scale=True, disable=None) as bar:
        for path in paths:
            try:
                sha256 = content_hash(path)
            except UserError as error:
                films.append(NamedFilm(path, error=str(error)))
            else:
                first = first_of.setdefault(sha256, path)
                copy_of = None if first == path else first
                films.append(NamedFilm(path, film_name(path, sha256), sha256, copy_of))
            bar.update(path.stat().st_size)
    return films
