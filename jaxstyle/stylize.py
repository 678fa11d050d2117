"""Stylizes images, films, cameras and streams: `python -m jaxstyle.stylize SOURCE SINK ...`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.arguments import command_parser, frame_size, positive_int, rate
from jaxstyle.choices import ACCELERATOR_BATCH
from jaxstyle.errors import UserError, reported_in_one_line, run_program
from jaxstyle.inference.shipped_styles import model_help
from jaxstyle.media.file_types import CONTAINERS

_EXAMPLES = """\
SOURCE is an image, a folder or a quoted glob of images, a film, the number of a camera, or the
address of a stream (rtsp://..., http://...).
SINK is an image, a folder, a film (%(films)s), or one of the words
  window   shows it; h there lists the keys
  http     shows it in browsers, with controls: http://127.0.0.1:8000/; http://0.0.0.0:8000 lets
           other machines in, with a token
  virtual  a camera that other programs can choose (pip install 'jaxstyle[virtual]')
  null     nowhere, to measure
MODEL is a style that ships (python -m jaxstyle.styles shows them), a file, or an address.

examples:
  a film, its sound, frame rate and length kept:
    python -m jaxstyle.stylize holiday.mp4 holiday_anime.mp4 --model=cel
  in one of the styles of a model of several:
    python -m jaxstyle.stylize photos/ cards/ --model=gallery --style=tarot
  in a style of your own, or one from the web:
    python -m jaxstyle.stylize a.mp4 b.mp4 --model=runs/mine/model.safetensors
    python -m jaxstyle.stylize a.mp4 b.mp4 --model=https://HOST/ink.safetensors#sha256=DIGEST
  its first 200 frames, smaller, half as strong:
    python -m jaxstyle.stylize a.mkv b.mkv --model=M --max_frames=200 --size=640x360 --strength=.5
  photos, names kept:
    python -m jaxstyle.stylize photos/ stylized/ --model=M
  the camera, live, in two styles to switch between, recorded as well:
    python -m jaxstyle.stylize 0 window --sink=show.mp4 --model=M --model=N
  a network camera, watched and controlled in a browser, at 30 frames a second whatever it takes:
    python -m jaxstyle.stylize rtsp://camera/stream http --model=M --fps=30
  any style, from an image, where the model takes one; stronger from second 2 to second 4:
    python -m jaxstyle.stylize a.mp4 b.mp4 --model=M --style=wave.jpg --strength=2:0.4,4:1
  only what the mask shows white, with a list of the frames that came out poorly:
    python -m jaxstyle.stylize a.mp4 b.mp4 --model=M --mask=person.mp4 --judge=poor.jsonl
"""

# SIGHUP comes when the terminal is closed; not every platform has it.
_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(KeyboardInterrupt):
    """A polite kill: it stops, keeps and cleans up the same things as Ctrl-C."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.status = 128 + number


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.stylize") -> int:
    """Runs the command; returns its exit status."""
    return run(_parser(prog).parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Stylizes as the arguments say; returns the exit status."""
    for stop in _STOP_SIGNALS:
        # Under nohup, SIGHUP is ignored from the start and must remain so.
        if signal.getsignal(stop) != signal.SIG_IGN:
            signal.signal(stop, _terminate)
    try:
        with reported_in_one_line():
            from jaxstyle.commands.run_stylize import stylize

            stylize(args)
    except Terminated as terminated:
        return terminated.status
    except KeyboardInterrupt:
        print("interrupted: nothing half-written is left", file=sys.stderr)
        return 130
    return 0


def _terminate(number: int, _frame: object) -> None:
    # A closing terminal sends its signal more than once; cleaning up must not be interrupted.
    for stop in _STOP_SIGNALS:
        signal.signal(stop, signal.SIG_IGN)
    raise Terminated(number)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Turns images, films, cameras and streams into a style.",
        _EXAMPLES % {"films": " ".join(CONTAINERS)},
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("sink", metavar="SINK", nargs="?")
    add_options(parser)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds all that can be said beside SOURCE and SINK; `run` takes what it is parsed to."""
    parser.add_argument(
        "--sink",
        dest="more_sinks",
        metavar="SINK",
        action="append",
        default=[],
        help="another one, at the same time; may be repeated",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        action="append",
        default=[],
        help=f"{model_help()}; may be repeated, and controls switch and mix the styles",
    )
    parser.add_argument(
        "--style",
        dest="styles",
        metavar="STYLE",
        action="append",
        default=[],
        help="of a model of several styles the one to begin with; of a model that takes its style "
        "from an image that image; repeated, each image is a style",
    )
    parser.add_argument(
        "--strength",
        type=_strength,
        default=1.0,
        metavar="S",
        help="from 0, the input, to 1, the style (1); or a curve over the film's time, "
        "seconds:strength, such as 0:0,2.5:1,10:0.3",
    )
    parser.add_argument(
        "--mask",
        metavar="SOURCE",
        help="an image, a folder of images or a film, a frame for each frame (the last one stays): "
        "white is stylized, black is left as it is",
    )
    parser.add_argument(
        "--smoothing",
        type=float,
        default=0.0,
        help="how much of the last picture stays where the input stands still, 0 to 0.9 (0)",
    )
    parser.add_argument(
        "--size",
        type=frame_size,
        metavar="WxH",
        help="stretch frames to this size first (films keep their shape on the screen); live: ask "
        "the camera for it, and compute at no more",
    )
    parser.add_argument(
        "--max_frames",
        type=positive_int,
        metavar="N",
        help="stop after N frames; sound is cut to the same length",
    )
    parser.add_argument(
        "--fps",
        type=rate,
        help="of images: images a second, such as 25 or 30000/1001; live: ask the camera for it, "
        "and compute at smaller sizes to hold it (24)",
    )
    parser.add_argument(
        "--batch",
        type=positive_int,
        metavar="N",
        help=f"frames of a film computed together ({ACCELERATOR_BATCH} on an accelerator, 1 on a "
        "CPU)",
    )
    parser.add_argument(
        "--captures",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="where snapshots and recordings go that are asked for while it runs (here)",
    )
    parser.add_argument(
        "--token", help="what viewers on the network must know (a new one for each run)"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.json",
        help="write how fast it ran, where the time went and how late pictures were",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="FILE.jsonl",
        help="have the model's discriminator score every frame, and flag the poor ones; the worst "
        "are shown in FILE.png; live, together with --max_frames",
    )
    parser.add_argument(
        "--keep_going",
        action="store_true",
        help="stylize what can be decoded of a damaged film, instead of stopping with an error",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing SINK (in a folder: the files of the same names)",
    )


def _strength(text: str) -> Any:
    """A float, or a `StrengthCurve`."""
    from jaxstyle.realtime.strength import parse_strength

    try:
        return parse_strength(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    run_program(main)
