"""What is installed here, and what is missing for what: `python -m jaxstyle.doctor`."""

import argparse
import os
import sys
from collections.abc import Sequence

from jaxstyle.arguments import command_parser
from jaxstyle.errors import run_program

_DETAILS = """\
Tells the versions, devices, cameras, FFmpeg's codecs, whether a window can be opened, the cache,
the styles that ship, and the extras with what each is for. The exit status is 1 if a package that
stylizing needs cannot be used; what an extra brings may be missing.
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.doctor") -> int:
    """Runs the command; returns its exit status."""
    args = _parser(prog).parse_args(argv)
    # Else JAX would take most of a GPU's memory, from whatever runs there, to name it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        from jaxstyle.commands.run_doctor import examine

        return examine(as_json=args.json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog, "Tells what is installed here, and what is missing for what.", _DETAILS
    )
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    return parser


if __name__ == "__main__":
    run_program(main)
