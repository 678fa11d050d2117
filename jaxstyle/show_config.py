"""Prints all settings of a recipe: `python -m jaxstyle.show_config configs/anime.py`."""

import argparse
from collections.abc import Sequence

from jaxstyle.arguments import parse_with_settings, settings_parser
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require

_DETAILS = """\
--config.NAME=VALUE changes a setting, as in training. What a recipe or the command line changes is
marked with the default.

example:
    python -m jaxstyle.show_config configs/anime.py --config.batch_size=4
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.show_config") -> int:
    """Runs the command; returns its exit status."""
    return run_command(
        _run, parse_with_settings(_parser(prog), argv), interrupted="nothing is shown"
    )


def _run(args: argparse.Namespace) -> None:
    require("train")

    from jaxstyle.commands.run_show_config import show_config

    show_config(args.recipe, args.settings)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = settings_parser(
        prog, "Prints all settings of a recipe, as training has them.", _DETAILS
    )
    parser.add_argument("recipe", metavar="RECIPE", help="such as configs/anime.py")
    return parser


if __name__ == "__main__":
    run_program(main)
