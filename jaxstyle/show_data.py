"""Shows a batch that a recipe trains on: `python -m jaxstyle.show_data configs/anime.py`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import parse_with_settings, settings_parser
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require

_DETAILS = """\
The picture has a row for each kind of image in the batch, such as content and style, and a column
for each of its examples: as the loader gives them, before they are flipped and recoloured on the
device. --config.NAME=VALUE changes a setting, as in training.

It is a batch of all the data, so that what is rendered or painted for a recipe, such as the 4,000
scenes of configs/anime.py, is made first: once, which can take minutes, and is told as it goes on.
Training then finds it done.

example:
    python -m jaxstyle.show_data configs/anime.py --config.data.content=photos/ --out=batch.png
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.show_data") -> int:
    """Runs the command; returns its exit status."""
    args = parse_with_settings(_parser(prog), argv)
    return run_command(_run, args, interrupted="nothing is written")


def _run(args: argparse.Namespace) -> None:
    require("train")

    from jaxstyle.commands.run_show_data import show_data

    show_data(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = settings_parser(
        prog,
        "Writes one batch that a recipe trains on as a picture, and says what is in it.",
        _DETAILS,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="such as configs/anime.py")
    parser.add_argument(
        "--out", type=Path, default=Path("batch.png"), metavar="PICTURE.png", help="(batch.png)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    return parser


if __name__ == "__main__":
    run_program(main)
