"""Stylizes images, films and cameras: `python -m jaxstyle.stylize SOURCE SINK --model=BUNDLE`."""

import argparse
import collections
import contextlib
import dataclasses
import itertools
import signal
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from jaxstyle.bundle import load_bundle
from jaxstyle.errors import UserError, reported_in_one_line
from jaxstyle.film import CONTAINERS, FilmReader, FilmWriter, Frame
from jaxstyle.realtime.engine import Stylizer, keep_compiled_programs
from jaxstyle.realtime.sinks import (
    SAVE_OPTIONS,
    FolderSink,
    ImageSink,
    Sink,
    SinkClosed,
    WindowSink,
    writable_name,
)
from jaxstyle.realtime.sources import (
    ImageSource,
    Source,
    open_source,
    read_ahead,
    resized,
)

EXAMPLES = """\
SOURCE is an image, a folder or a quoted glob of images, a film, or the number of a camera.
SINK is an image, a folder, a film (%(films)s) or the word "window" (q or Esc closes it).

examples:
  a film, its sound, frame rate and length kept:
    python -m jaxstyle.stylize holiday.mp4 holiday_anime.mp4 --model=anime.safetensors
  its first 200 frames, smaller, half as strong:
    python -m jaxstyle.stylize a.mkv b.mkv --model=M --max_frames=200 --size=640x360 --strength=.5
  photos, names kept:
    python -m jaxstyle.stylize photos/ stylized/ --model=M
  the camera, live:
    python -m jaxstyle.stylize 0 window --model=M
"""


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
        description="Turns images, films and cameras into a style.",
        epilog=EXAMPLES % {"films": " ".join(CONTAINERS)},
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("sink", metavar="SINK")
    parser.add_argument("--model", required=True, metavar="BUNDLE", help="a .safetensors bundle")
    parser.add_argument(
        "--strength", type=_strength, default=1.0, help="from 0, the input, to 1, the style (1)"
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="stretch frames to this size first; films keep their shape on the screen",
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
        default=Fraction(24),
        help="for films and windows of images: images a second, such as 25 or 30000/1001 (24)",
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


def _strength(text: str) -> float:
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


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        width, height = 0, 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 640x360")
    return width, height


def _stylize(args: argparse.Namespace) -> None:
    source = open_source(args.source, args.fps, keep_going=args.keep_going)
    with contextlib.closing(source):
        bundle = load_bundle(args.model)
        name = bundle.metadata.get("name") or Path(args.model).stem
        with _open_sink(source, args, f"Stylized with jaxstyle, model {name}") as sink:
            keep_compiled_programs()
            run(source, sink, Stylizer(bundle), args.strength, args.size, args.max_frames)
            sink.finish()
    if isinstance(sink, FilmWriter) and sink.dropped:
        print(f"note: {args.sink} cannot hold {', '.join(sink.dropped)}", file=sys.stderr)
    if isinstance(source, FilmReader) and source.damaged:
        print(f"note: {args.source} was damaged in {source.damaged} places", file=sys.stderr)
    if isinstance(source, ImageSource) and source.skipped:
        print(f"note: {source.skipped} images could not be read", file=sys.stderr)


def _open_sink(source: Source, args: argparse.Namespace, comment: str) -> Sink:
    """The sink that SINK names, by its extension; refuses before anything is computed."""
    if args.sink == "window":
        still = isinstance(source, ImageSource)
        return WindowSink(source.time_base, live=source.live, hold=still)
    path = Path(args.sink).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir() or args.sink.endswith("/") or not suffix:
        _check_folder(path, source, args.overwrite)
        return FolderSink(path, comment)
    if suffix not in CONTAINERS and suffix not in SAVE_OPTIONS:
        known = " ".join([*CONTAINERS, *SAVE_OPTIONS])
        raise UserError(f"cannot write {suffix} files; SINK may end in {known}, or be a folder")
    _check_file(path, source, args.overwrite)
    if suffix in SAVE_OPTIONS:
        if source.total != 1 and args.max_frames != 1:
            raise UserError(f"{path} holds one picture; name a folder or a film, or --max_frames=1")
        return ImageSink(path, comment)
    if not isinstance(source, FilmReader):
        return FilmWriter(path, time_base=source.time_base, rate=source.rate, comment=comment)
    return FilmWriter(
        path,
        time_base=source.time_base,
        rate=source.rate,
        sample_aspect_ratio=_aspect_ratio(source, args.size),
        color=source.color,
        copy_from=source.path,
        cut=args.max_frames is not None,
        comment=comment,
    )


def _check_file(path: Path, source: Source, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} to")
    if path.exists():
        if any(path.samefile(used) for used in _files(source)):
            raise UserError(f"{path} is the source itself; choose another name for the result")
        if not overwrite:
            raise UserError(f"{path} exists; --overwrite replaces it")


def _check_folder(path: Path, source: Source, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, not a folder; give SINK an extension or another name")
    if path.is_dir():
        # A film may lie in the folder of its frames, but an image would replace itself.
        sources = _files(source) if isinstance(source, ImageSource) else []
        if any(path.samefile(used.parent) for used in sources):
            raise UserError(f"{path} is the folder of the source images; choose another one")
        if not overwrite and any(path.iterdir()):
            raise UserError(f"{path} is not empty; --overwrite replaces files of the same names")
    if isinstance(source, ImageSource):
        names = collections.Counter(map(writable_name, source.names))
        name, count = names.most_common(1)[0]
        if count > 1:
            raise UserError(f"{count} of the images would be written to {path / name}; rename them")


def _files(source: Source) -> list[Path]:
    if isinstance(source, ImageSource):
        return source.paths
    return [source.path] if isinstance(source, FilmReader) else []


def _aspect_ratio(film: FilmReader, size: tuple[int, int] | None) -> Fraction:
    """Of the pixels after resizing, so that the picture keeps its shape on the screen."""
    if size is None:
        return film.sample_aspect_ratio
    ratio = film.sample_aspect_ratio * Fraction(film.size[0], film.size[1]) / Fraction(*size)
    # What rounding a size to whole pixels does to the ratio is not worth recording.
    return Fraction(1) if abs(ratio - 1) < Fraction(1, 100) else ratio.limit_denominator(1000)


def run(
    source: Source,
    sink: Sink,
    stylizer: Stylizer,
    strength: float = 1.0,
    size: tuple[int, int] | None = None,
    max_frames: int | None = None,
) -> None:
    """Sends the frames of `source` through `stylizer` to `sink`, with progress on a terminal.

    While the device computes a frame, the next one is decoded and sent to it. size: (width,
    height) that frames are resized to first. Ends with the source, after `max_frames`, when the
    viewer closes the window, and for a live source on Ctrl-C.

    Raises `UserError` if a frame does not fit into memory.
    """
    total = min(filter(None, [source.total, max_frames]), default=None)
    frames = source if size is None else (resized(frame, size) for frame in source)
    ahead = read_ahead(frames, latest_only=source.live)
    # Counted here, not at the source: of a live one, frames that came too late are dropped.
    frames = itertools.islice(ahead, max_frames)
    with (
        contextlib.closing(ahead),
        _memory_errors(),
        tqdm(total=total, unit="frame", disable=None) as progress,
        contextlib.suppress(SinkClosed, *([KeyboardInterrupt] if source.live else [])),
    ):
        for frame in _stylized(frames, stylizer, strength):
            sink.write(frame)
            progress.update()


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        # JAX has no class of its own for a full device.
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            "frames of this size do not fit into memory; give a smaller --size"
        ) from error


def _stylized(frames: Iterator[Frame], stylizer: Stylizer, strength: float) -> Iterator[Frame]:
    """The frames in their order, each taken from the device after the next one was sent there."""
    waiting = None
    for frame in frames:
        result = stylizer(frame.rgb[None], strength)
        if waiting is not None:
            yield _collected(*waiting)
        waiting = frame, result
    if waiting is not None:
        yield _collected(*waiting)


def _collected(frame: Frame, result) -> Frame:
    return dataclasses.replace(frame, rgb=np.asarray(result)[0])


if __name__ == "__main__":
    sys.exit(main())
