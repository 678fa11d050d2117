"""Shows the styles that ship: `python -m jaxstyle.styles`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.errors import UserError, run_command
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.styles.listing import as_text, read_styles
from jaxstyle.styles.styles_page import styles_html

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_show, _parser().parse_args(argv), interrupted="nothing is written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.styles",
        description="Shows the styles that ship: what each looks like, what it learned from, under "
        "which licence, and its figures.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="show only these styles")
    parser.add_argument(
        "--out", type=Path, metavar="PAGE.html", help="write a page with pictures, in one file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing PAGE.html")
    return parser


def _show(args: argparse.Namespace) -> None:
    if args.out is None:
        print(as_text(read_styles(args.names)))
        return
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{args.out} is to be a page; give a name that ends in .html")
    if not args.out.parent.is_dir():
        raise UserError(f"there is no folder {args.out.parent} to write {args.out.name} to")
    if args.out.exists() and not args.overwrite:
        raise UserError(f"{args.out} exists; --overwrite replaces it")
    write_whole(args.out, styles_html(read_styles(args.names)).encode())
    print(f"wrote {args.out}")


if __name__ == "__main__":
    sys.exit(main())
