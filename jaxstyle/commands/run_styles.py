"""Shows the styles that ship: what `jaxstyle.styles` does."""

import argparse

from jaxstyle.arguments import as_called
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.styles.listing import as_text, read_styles
from jaxstyle.styles.styles_page import styles_html


def show_styles(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.styles` is asked for."""
    if args.out is None:
        print(as_called(as_text(read_styles(args.names)), args.prog))
        return
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{args.out} is to be a page; give a name that ends in .html")
    if not args.out.parent.is_dir():
        raise UserError(f"there is no folder {args.out.parent} to write {args.out.name} to")
    if args.out.exists() and not args.overwrite:
        raise UserError(f"{args.out} exists; --overwrite replaces it")
    page = as_called(styles_html(read_styles(args.names)), args.prog)
    write_whole(args.out, page.encode())
    print(f"wrote {args.out}")
