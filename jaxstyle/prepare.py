"""Films to training frames: `python -m jaxstyle.prepare FILM... --out=DIR`."""

import argparse
import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from jaxstyle.arguments import command_parser, positive_int
from jaxstyle.choices import HASH_BITS
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require
from jaxstyle.interrupt import STOP_SIGNALS, Stopped

_DETAILS = """\
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


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.prepare") -> int:
    """Runs the command; returns its exit status."""
    with _stopping_at_once():
        return run_command(
            _run,
            _parser(prog).parse_args(argv),
            interrupted="films that are done are kept; the same command goes on from there",
        )


def _run(args: argparse.Namespace) -> None:
    require("train")

    from jaxstyle.commands.run_prepare import prepare

    prepare(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(prog, "Makes a data set of training frames out of films.", _DETAILS)
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
        help=f"of {HASH_BITS} of a perceptual hash may differ in duplicates; fewer keep more (6)",
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
    if not text.isdecimal() or int(text) >= HASH_BITS:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to {HASH_BITS - 1}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text} is not of the form I/N, I from 0 to N-1")
    return int(index), int(count)


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
    run_program(main)
