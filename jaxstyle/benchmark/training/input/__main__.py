"""The command: `python -m jaxstyle.benchmark.training.input --config=configs/anime.py`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import parse_with_settings, seconds, settings_parser
from jaxstyle.choices import INPUT_RESULTS
from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.extras import require


def main(
    argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.benchmark.training.input"
) -> int:
    """Runs the command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parse_with_settings(_parser(prog), argv)
    args.command = [*prog.split(), *argv]
    return run_command(_run, args, interrupted="nothing was measured yet")


def _run(args: argparse.Namespace) -> None:
    if not args.config:
        raise UserError("name a recipe: --config=configs/anime.py")
    require("train")

    from jaxstyle.commands.run_input_benchmark import benchmark_input

    benchmark_input(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = settings_parser(
        prog,
        "Measures how much of the time a recipe's training waits for its data.",
        "Settings of the recipe are given as in training: --config.data.content=films",
    )
    parser.add_argument("--config", metavar="RECIPE", help="such as configs/anime.py")
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=20.0,
        metavar="S",
        help="of each of the three measurements (20)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"the folder for {INPUT_RESULTS}")
    return parser


if __name__ == "__main__":
    run_program(main)
