"""Trains: `python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime`.

Where several processes are to train one model, each is started with this command, see
`jaxstyle.training.distributed`.
"""

import argparse
from collections.abc import Sequence

from jaxstyle.arguments import parse_with_settings, settings_parser
from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.extras import require

_DETAILS = """\
RECIPE is a file such as configs/anime.py; configs/anime.py:base gives it an argument. Settings of
the recipe can be given as well, --config.NAME=VALUE: python -m jaxstyle.show_config RECIPE lists
them.

examples:
  the cel look, from the data that are built in:
    python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime
  your own films and frames, with smaller batches; the same command again goes on with it:
    python -m jaxstyle.main --config=configs/anime.py --workdir=runs/mine --config.batch_size=4 \\
        --config.data.content=films/ --config.data.style=frames/
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.main") -> int:
    """Runs the command; returns its exit status."""
    args = parse_with_settings(_parser(prog), argv)
    return run_command(_run, args, "the same command goes on from the last checkpoint")


def _run(args: argparse.Namespace) -> None:
    if not args.config:
        raise UserError("name a recipe: --config=configs/anime.py")
    if not args.workdir:
        raise UserError("name a folder for checkpoints, samples and the model: --workdir=DIR")
    require("train")

    from jaxstyle.commands.run_train import train_recipe

    train_recipe(args.config, args.settings, args.workdir)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = settings_parser(
        prog, "Trains a model; the same command again goes on from the last checkpoint.", _DETAILS
    )
    parser.add_argument("--config", metavar="RECIPE", help="such as configs/anime.py")
    parser.add_argument(
        "--workdir", metavar="DIR", help="where checkpoints, samples and the model go"
    )
    return parser


if __name__ == "__main__":
    run_program(main)
