"""The command: `python -m jaxstyle.benchmark --peers=torch,onnxruntime,openvino --out=bench`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import command_parser, listed, positive_int, seconds
from jaxstyle.benchmark.worker_processes import PEERS
from jaxstyle.choices import BENCHMARK_PLOT, BENCHMARK_RESULTS, DTYPES, MEASURED_MODELS
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require
from jaxstyle.inference.shipped_styles import model_help


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.benchmark") -> int:
    """Runs the command; returns its exit status."""
    args = _parser(prog).parse_args(argv)
    # What ends this process must end its workers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    where = f"in {args.out / BENCHMARK_RESULTS}" if args.out else "above"
    return run_command(_run, args, f"what was measured until then is {where}")


def _run(args: argparse.Namespace) -> None:
    if args.out and not args.no_plot:
        require("train", "matplotlib")

    from jaxstyle.commands.run_benchmark import benchmark

    benchmark(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Measures how fast generators run, alone on the device and from uint8 frames "
        "to uint8 frames, against other runtimes with the same weights.",
    )
    parser.add_argument(
        "--models",
        type=listed(str),
        metavar="NAMES",
        help=f"of {', '.join(MEASURED_MODELS)}, with random weights (tiny,small,base; none with "
        "--model)",
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
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where {BENCHMARK_RESULTS} and {BENCHMARK_PLOT} go",
    )
    parser.add_argument("--no_plot", action="store_true", help=f"write no {BENCHMARK_PLOT}")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help=f"an earlier run's {BENCHMARK_RESULTS} to compare with",
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
    run_program(main)
