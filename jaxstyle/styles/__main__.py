"""Shows the styles that ship: `python -m jaxstyle.styles`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import command_parser
from jaxstyle.errors import run_command, run_program

_EXAMPLES = """\
examples:
  what there is, with licences, data and figures:
    python -m jaxstyle.styles
  one of them alone:
    python -m jaxstyle.styles NAME
  the same with pictures, as a page for the browser:
    python -m jaxstyle.styles --out=styles.html
  a film in one of them:
    python -m jaxstyle.stylize film.mp4 out.mp4 --model=NAME
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.styles") -> int:
    """Runs the command; returns its exit status."""
    args = _parser(prog).parse_args(argv)
    args.prog = prog
    return run_command(_run, args, interrupted="nothing is written")


def _run(args: argparse.Namespace) -> None:
    from jaxstyle.commands.run_styles import show_styles

    show_styles(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Shows the styles that ship: what each looks like, what it learned from, under "
        "which licence, and its figures.",
        _EXAMPLES,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="show only these styles")
    parser.add_argument(
        "--out", type=Path, metavar="PAGE.html", help="write a page with pictures, in one file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing PAGE.html")
    return parser


if __name__ == "__main__":
    run_program(main)
