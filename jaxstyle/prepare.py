"""Films to training frames: `python -m jaxstyle.prepare FILM... --out=DIR`."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from jaxstyle.arguments import positive_int
from jaxstyle.errors import UserError, run_command
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.interrupt import STOP_SIGNALS, Stopped
from jaxstyle.preparation import records
from jaxstyle.preparation.duplicates import BITS
from jaxstyle.preparation.film_frames import Options
from jaxstyle.preparation.films import content_hash, film_name, find_films
from jaxstyle.preparation.manifest import NamedFilm, as_json, manifest, skip_reason
from jaxstyle.preparation.results import MANIFEST, Results
from jaxstyle.preparation.workers import prepare_films

DETAILS = """\
FILM is a film, a folder (searched with its subfolders) or a quoted glob. Of each shot, the sharpest
frame of every --every seconds is kept, without black bars and with square pixels. Dropped are
  black, white, flat   frames that show next to nothing
  fade                 on the way from or to one of these
  text                 titles and credits on an even ground (not over moving pictures)
  duplicate            like a frame of the same film that is kept
Dissolves between shots are not noticed. Films that are damaged are reported, and skipped.

DIR becomes a data set of TensorFlow Datasets (TFDS), in ArrayRecord files: of exactly the films
that are named, so name earlier ones again to add some. It is opened as tfds:DIR, or a part of it as
tfds:DIR?split=train[:90%]. Beside it are
  manifest.json                    films, hashes, bars, shots, frames, what was dropped
  films/NAME/kept.jpg dropped.jpg  contact sheets of each film
  films/                           what is done: the same command again does only what is missing

On several machines, each of N tasks prepares its share by --shard=0/N ... --shard=N-1/N, and the
same command without --shard, after all of them, makes the data set. In an array job of Slurm's,
the shard is that of the task. --shard=0/1 is all of it.

examples:
  python -m jaxstyle.prepare film.mkv --out=frames
  python -m jaxstyle.prepare 'series/*.mkv' --out=frames --every=4 --size=720 --jobs=4
  sbatch --array=0-9 --wrap "python -m jaxstyle.prepare series/ --out=frames"
  python -m jaxstyle.prepare series/ --out=frames
  python -m jaxstyle.main --config=configs/anime.py --workdir=runs/mine \\
      --config.data.content=photos/ --config.data.style=tfds:frames
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    with _stopping_at_once():
        return run_command(
            _prepare,
            _parser().parse_args(argv),
            interrupted="films that are done are kept; the same command goes on from there",
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.prepare",
        description="Makes a data set of training frames out of films.",
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("films", metavar="FILM", nargs="+", help="a film, a folder, a quoted glob")
    parser.add_argument("--out", required=True, metavar="DIR", type=_folder, help="the data set")
    parser.add_argument(
        "--every", type=_seconds, default=2.0, metavar="SECONDS", help="for a frame (2)"
    )
    parser.add_argument(
        "--size", type=positive_int, metavar="N", help="shrink to a shorter side of N pixels"
    )
    parser.add_argument("--format", choices=("jpeg", "png"), default="jpeg", help="(jpeg)")
    parser.add_argument("--quality", type=_quality, metavar="Q", help="of JPEG, 1 to 100 (95)")
    parser.add_argument(
        "--duplicates",
        type=_bits,
        default=6,
        metavar="BITS",
        help=f"of {BITS} of a perceptual hash may differ in duplicates; fewer keep more (6)",
    )
    parser.add_argument(
        "--licence",
        type=_utf_8,
        default="unknown",
        help="of the films, and where they are from (unknown)",
    )
    parser.add_argument(
        "--jobs", type=positive_int, default=1, metavar="N", help="films at a time (1)"
    )
    parser.add_argument("--shard", type=_shard, metavar="I/N", help="only every N-th film, from I")
    parser.add_argument("--fresh", action="store_true", help="begin anew, with other options")
    return parser


def _utf_8(text: str) -> str:
    """What TFDS and ArrayRecord can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!a} is not UTF-8") from None
    return text


def _folder(text: str) -> Path:
    return Path(_utf_8(text))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 100")
    return int(text)


def _bits(text: str) -> int:
    if not text.isdecimal() or int(text) >= BITS:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to {BITS - 1}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text} is not of the form I/N, I from 0 to N-1")
    return int(index), int(count)


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


def _prepare(args: argparse.Namespace) -> None:
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
    films, first_of = [], {}
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


@contextlib.contextmanager
def _stopping_at_once() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does: what is unfinished is removed."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Stopped(signum)

    signals = [signum for signum in STOP_SIGNALS if signum != signal.SIGINT]
    before = {signum: signal.getsignal(signum) for signum in signals}
    for signum, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, stop)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


if __name__ == "__main__":
    sys.exit(main())
