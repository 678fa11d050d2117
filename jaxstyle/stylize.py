"""Stylizes images, films, cameras and streams: `python -m jaxstyle.stylize SOURCE SINK ...`."""

import argparse
import collections
import contextlib
import signal
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import jax

import jaxstyle
from jaxstyle.arguments import frame_size
from jaxstyle.bundle import Bundle, load_bundle
from jaxstyle.errors import UserError, reported_in_one_line
from jaxstyle.film import CONTAINERS, FilmReader, FilmWriter
from jaxstyle.realtime.captures import Captures
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.destinations import Output, is_watched
from jaxstyle.realtime.engine import Stylizer, keep_compiled_programs
from jaxstyle.realtime.figures import Figures, write_report
from jaxstyle.realtime.loop import Loop
from jaxstyle.realtime.scheduler import Scheduler
from jaxstyle.realtime.sinks import Sink
from jaxstyle.realtime.sources import ImageSource, RepeatedSource, Source, open_source

EXAMPLES = """\
SOURCE is an image, a folder or a quoted glob of images, a film, the number of a camera, or the
address of a stream (rtsp://..., http://...).
SINK is an image, a folder, a film (%(films)s), or one of the words
  window   shows it; h there lists the keys
  http     shows it in browsers, with controls: http://127.0.0.1:8000/; http://0.0.0.0:8000 lets
           other machines in, with a token
  virtual  a camera that other programs can choose (pip install 'jaxstyle[virtual]')
  null     nowhere, to measure

examples:
  a film, its sound, frame rate and length kept:
    python -m jaxstyle.stylize holiday.mp4 holiday_anime.mp4 --model=anime.safetensors
  its first 200 frames, smaller, half as strong:
    python -m jaxstyle.stylize a.mkv b.mkv --model=M --max_frames=200 --size=640x360 --strength=.5
  photos, names kept:
    python -m jaxstyle.stylize photos/ stylized/ --model=M
  the camera, live, in two styles to switch between, recorded as well:
    python -m jaxstyle.stylize 0 window --sink=show.mp4 --model=M --model=N
  a network camera, watched and controlled in a browser, at 30 frames a second whatever it takes:
    python -m jaxstyle.stylize rtsp://camera/stream http --model=M --fps=30
"""

# For images; and what a live picture should not fall below.
_FPS = Fraction(24)
# Frames that an accelerator computes together. On a CPU, one alone keeps all cores busy.
_BATCH = 8

# SIGHUP comes when the terminal is closed; not every platform has it.
_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(KeyboardInterrupt):
    """A polite kill: it stops, keeps and cleans up the same things as Ctrl-C."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.status = 128 + number


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = _parser().parse_args(argv)
    for stop in _STOP_SIGNALS:
        # Under nohup, SIGHUP is ignored from the start and must remain so.
        if signal.getsignal(stop) != signal.SIG_IGN:
            signal.signal(stop, _terminate)
    try:
        with reported_in_one_line():
            _stylize(args)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.stylize",
        description="Turns images, films, cameras and streams into a style.",
        epilog=EXAMPLES % {"films": " ".join(CONTAINERS)},
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("sink", metavar="SINK", nargs="?")
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
        required=True,
        metavar="BUNDLE",
        action="append",
        help="a .safetensors bundle; repeated, each is a style, and controls switch and mix them",
    )
    parser.add_argument(
        "--strength", type=_fraction, default=1.0, help="from 0, the input, to 1, the style (1)"
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
        type=_positive_int,
        metavar="N",
        help="stop after N frames; sound is cut to the same length",
    )
    parser.add_argument(
        "--fps",
        type=_rate,
        help="of images: images a second, such as 25 or 30000/1001; live: ask the camera for it, "
        "and compute at smaller sizes to hold it (24)",
    )
    parser.add_argument(
        "--batch",
        type=_positive_int,
        metavar="N",
        help=f"frames of a film computed together ({_BATCH} on an accelerator, 1 on a CPU)",
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
        "--keep_going",
        action="store_true",
        help="stylize what can be decoded of a damaged film, instead of stopping with an error",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing SINK (in a folder: the files of the same names)",
    )
    return parser


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 0 and 1")
    return value


def _positive_int(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return value


def _rate(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate between 0 and 1000")
    return value


def _stylize(args: argparse.Namespace) -> None:
    names = [*([args.sink] if args.sink else []), *args.more_sinks]
    if not names:
        raise UserError("no SINK is named: where should the pictures go? --help lists them")
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise UserError(f"the sink {name} is named twice")
    keep_compiled_programs()
    # Compiling in the background would otherwise hold up every frame for some milliseconds at each
    # hand-over between threads.
    sys.setswitchinterval(0.0005)
    figures = Figures(jaxstyle.STARTED)
    if args.report and not args.report.absolute().parent.is_dir():
        raise UserError(f"there is no folder {args.report.parent} to write {args.report.name} to")
    bundles = [load_bundle(path) for path in args.model]
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(_open_source(args, names)))
        styles = _style_names(bundles, args.model)
        controls = Controls(styles)
        controls.change({"strength": args.strength, "smoothing": args.smoothing})
        comment = f"Stylized with jaxstyle, model {', '.join(styles)}"
        stretch_to = None if source.live else args.size
        output = Output(
            source,
            controls,
            figures,
            comment,
            size=stretch_to,
            max_frames=args.max_frames,
            overwrite=args.overwrite,
            token=args.token,
        )
        sinks = {name: stack.enter_context(output.open(name)) for name in names}
        watched = any(sink.live for sink in sinks.values())
        if watched:
            captures = Captures(args.captures, controls, source.time_base, source.rate, comment)
            sinks["captures"] = stack.enter_context(captures)
        scheduler = Scheduler(
            Stylizer(bundles),
            live=source.live,
            watched=watched,
            fps=args.fps or _FPS,
            size=args.size,
            rounded=isinstance(source, ImageSource) and source.total > 1,
            batch=args.batch or (1 if watched or jax.default_backend() == "cpu" else _BATCH),
        )
        loop = Loop(
            source,
            scheduler,
            sinks,
            controls,
            figures,
            stretch_to=stretch_to,
            max_frames=args.max_frames,
        )
        try:
            loop.run()
        finally:
            if args.report:
                ran = {
                    "source": getattr(source, "name", args.source),
                    "sinks": names,
                    "styles": styles,
                    "reconnects": getattr(source, "reconnects", 0),
                }
                write_report(args.report, {**ran, **figures.report()})
        _tell(args, source, sinks, figures)


def _open_source(args: argparse.Namespace, sinks: list[str]) -> Source:
    source = open_source(
        args.source,
        args.fps or _FPS,
        keep_going=args.keep_going,
        size=args.size,
        fps=args.fps,
    )
    if isinstance(source, ImageSource) and any(map(is_watched, sinks)):
        # A picture that is watched stays, and controls act on it.
        return RepeatedSource(source)
    return source


def _style_names(bundles: Sequence[Bundle], paths: Sequence[str]) -> list[str]:
    """What the bundles are called, told apart by numbers where two are called the same."""
    names: list[str] = []
    for bundle, path in zip(bundles, paths, strict=True):
        name = bundle.metadata.get("name") or Path(path).stem
        count = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({count + 1})" if count else name)
    return names


def _tell(
    args: argparse.Namespace, source: Source, sinks: dict[str, Sink], figures: Figures
) -> None:
    """Says what there is to know of a run that has ended."""
    if figures.counts["stylized"] > 1:
        print(figures.summary(), file=sys.stderr)
    for name, sink in sinks.items():
        if isinstance(sink, FilmWriter) and sink.dropped:
            print(f"note: {name} cannot hold {', '.join(sink.dropped)}", file=sys.stderr)
    if isinstance(source, FilmReader) and source.damaged:
        print(f"note: {args.source} was damaged in {source.damaged} places", file=sys.stderr)
    if isinstance(source, ImageSource) and source.skipped:
        print(f"note: {source.skipped} images could not be read", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
