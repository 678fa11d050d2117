"""The command: `python -m jaxstyle.benchmark --peers=torch,onnxruntime,openvino --out=bench`."""

import argparse
import datetime
import itertools
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from tqdm import tqdm

from jaxstyle.arguments import listed, positive_int, seconds
from jaxstyle.benchmark.cells import Cell, measure_cell
from jaxstyle.benchmark.measured_models import MODELS, Model, prepare_models, write_onnx
from jaxstyle.benchmark.plot import plot_png
from jaxstyle.benchmark.record import (
    document,
    machine_changes,
    read_document,
    write_document,
)
from jaxstyle.benchmark.tables import comparison_table, metrics_table, notes, peers_table
from jaxstyle.benchmark.worker_processes import ONNX_PEERS, PEERS, peer_commands
from jaxstyle.errors import UserError, reported_in_one_line
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.inference.model_files import model_help
from jaxstyle.models import DTYPES

_RESULTS = "benchmark.json"
_PLOT = "benchmark.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = _parser().parse_args(argv)
    # What ends this process must end its workers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # The workers have the accelerator to themselves; here, nothing is computed.
    jax.config.update("jax_platforms", "cpu")
    try:
        with reported_in_one_line():
            _benchmark(args)
    except KeyboardInterrupt:
        where = f"in {args.out / _RESULTS}" if args.out else "above"
        print(f"interrupted: what was measured until then is {where}", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _benchmark(args: argparse.Namespace) -> None:
    commands = peer_commands(args.peers, [*args.peer_python, sys.executable])
    earlier = read_document(args.compare) if args.compare else None
    if args.out:
        make_folder(args.out)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    done: list[dict] = []
    try:
        with tempfile.TemporaryDirectory(prefix="jaxstyle_benchmark_") as folder:
            models = prepare_models(_names(args), args.model, Path(folder))
            cells = _cells(args, models)
            if not ONNX_PEERS.isdisjoint(commands):
                _check_export(models, Path(folder))
            for cell in (progress := tqdm(cells, unit="cell")):
                progress.set_description(str(cell))
                done.append(measure_cell(cell, commands, args.seconds, Path(folder)))
                if args.out:
                    content = document(done, date=date, seconds=args.seconds)
                    write_document(args.out / _RESULTS, content)
    finally:
        if done:
            _print_tables(done, args.peers)
    if all("failed" in cell["contestants"]["jaxstyle"] for cell in done):
        raise UserError("nothing could be measured; the reasons are above")
    now = document(done, date=date, seconds=args.seconds)
    if args.out and not args.no_plot:
        write_whole(args.out / _PLOT, plot_png(done, now["machine"]))
    if earlier:
        _print_comparison(now, earlier, args.compare)


def _names(args: argparse.Namespace) -> list[str]:
    if args.models is not None:
        return args.models
    return [] if args.model else ["tiny", "small", "base"]


def _cells(args: argparse.Namespace, models: Sequence[Model]) -> list[Cell]:
    cells = []
    for model, (width, height), batch, dtype in itertools.product(
        models, args.sizes, args.batches, args.dtypes
    ):
        if width % model.stride or height % model.stride:
            raise UserError(
                f"{model.name} takes sizes in multiples of {model.stride}, not {width}x{height}"
            )
        cells.append(Cell(model, width, height, batch, dtype))
    if not cells:
        raise UserError("nothing to measure: name a model, a size, a batch and a dtype at least")
    return cells


def _check_export(models: Sequence[Model], folder: Path) -> None:
    """A model that cannot be exported is better told now than after an hour."""
    for model in models:
        write_onnx(model, (1, 16 * model.stride, 16 * model.stride, 3), folder)


def _print_tables(cells: Sequence[dict], peers: Sequence[str]) -> None:
    print(f"jaxstyle:\n{metrics_table(cells)}")
    if peers:
        print(f"\nmedian milliseconds a call, all in turns:\n{peers_table(cells, peers)}")
    for note in notes(cells):
        print(note)


def _print_comparison(now: dict, earlier: dict, path: Path) -> None:
    try:
        changes = machine_changes(earlier, now)
        table = comparison_table(now["cells"], earlier["cells"])
        date = earlier["date"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {error!r}") from error
    for change in changes:
        print(f"warning: another machine than in {path}: {change}", file=sys.stderr)
    print(f"\nagainst {path} of {date}:\n{table or 'it has none of these figures'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.benchmark",
        description="Measures how fast generators run, alone on the device and from uint8 frames "
        "to uint8 frames, against other runtimes with the same weights.",
    )
    parser.add_argument(
        "--models",
        type=listed(str),
        metavar="NAMES",
        help=f"of {', '.join(MODELS)}, with random weights (tiny,small,base; none with --model)",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help=f"trained: {model_help()}; may be given several times",
    )
    parser.add_argument(
        "--sizes",
        type=listed(_size),
        default="256x256,640x360,1280x720",
        metavar="WxH,...",
        help="frame sizes (%(default)s)",
    )
    parser.add_argument(
        "--batches",
        type=listed(positive_int),
        default="1",
        metavar="N,...",
        help="frames a call (1)",
    )
    parser.add_argument(
        "--dtypes",
        type=listed(_dtype),
        default="float32",
        metavar="D,...",
        help=f"of the computation: {', '.join(DTYPES)} (%(default)s)",
    )
    parser.add_argument(
        "--peers",
        type=listed(str),
        default="",
        metavar="P,...",
        help=f"runtimes to compare with: {', '.join(PEERS)}",
    )
    parser.add_argument(
        "--peer_python",
        action="append",
        default=[],
        metavar="PATH",
        help="an interpreter that has peers; may be given several times, the first that has a peer "
        "runs it (this one)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=3.0,
        help="of calls for each figure; three calls at least (3)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where {_RESULTS} and {_PLOT} go")
    parser.add_argument("--no_plot", action="store_true", help=f"write no {_PLOT}")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help=f"an earlier run's {_RESULTS} to compare with"
    )
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text} is not of the form 640x360")
    return int(width), int(height)


def _dtype(text: str) -> str:
    if text not in DTYPES:
        raise argparse.ArgumentTypeError(f"no dtype {text}; there are: {', '.join(DTYPES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
