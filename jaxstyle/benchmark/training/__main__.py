"""The command: `python -m jaxstyle.benchmark.training --models=realtime --peers=torch`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import command_parser, listed, positive_int, seconds
from jaxstyle.benchmark.worker_processes import TRAINING_PEERS
from jaxstyle.choices import TRAINING_PLOT, TRAINING_RESULTS
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require


def main(
    argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.benchmark.training"
) -> int:
    """Runs the command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(prog).parse_args(argv)
    args.command = [*prog.split(), *argv]
    # What ends this process must end its workers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    where = f"in {args.out / TRAINING_RESULTS}" if args.out else "above"
    return run_command(_run, args, f"what was measured until then is {where}")


def _run(args: argparse.Namespace) -> None:
    require("train")

    from jaxstyle.commands.run_training_benchmark import benchmark_training

    benchmark_training(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Measures a recipe's training step against the same step in PyTorch: the same "
        "networks, losses, optimizer, parameters and frames, in turns.",
        "How long training waits for its data: python -m jaxstyle.benchmark.training.input",
    )
    parser.add_argument(
        "--models",
        type=listed(str),
        default="realtime,animegan2",
        metavar="NAMES",
        help="generators whose recipes are measured (%(default)s)",
    )
    parser.add_argument(
        "--image_size", type=positive_int, default=128, help="side of the frames (%(default)s)"
    )
    parser.add_argument(
        "--batch_size", type=positive_int, default=4, help="frames a step (%(default)s)"
    )
    parser.add_argument(
        "--peers",
        type=listed(str),
        default="",
        metavar="P,...",
        help=f"what to compare with: {', '.join(TRAINING_PEERS)}",
    )
    parser.add_argument(
        "--peer_python",
        action="append",
        default=[],
        metavar="PATH",
        help="an interpreter that has PyTorch (this one)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=20.0,
        help="of steps for each contestant; three steps at least (20)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where {TRAINING_RESULTS} and {TRAINING_PLOT} go",
    )
    return parser


if __name__ == "__main__":
    run_program(main)
