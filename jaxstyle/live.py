"""A camera in a style, live: `python -m jaxstyle.live --model=cel`."""

import argparse
from collections.abc import Sequence

from jaxstyle import stylize
from jaxstyle.arguments import command_parser
from jaxstyle.errors import run_program

_DETAILS = """\
SOURCE is the number of a camera, or the address of a stream (rtsp://..., http://...); films and
pictures can be watched as well. SINK is
  window   shows it; h there lists the keys
  http     shows it in browsers, with controls: http://127.0.0.1:8000/; http://0.0.0.0:8000 lets
           other machines in, with a token
  virtual  a camera that other programs can choose (pip install 'jaxstyle[virtual]')
python -m jaxstyle.stylize is the same, and writes files as well.

examples:
  the first camera in a window:
    python -m jaxstyle.live --model=cel
  in a browser:
    python -m jaxstyle.live http --model=cel
  the second camera as one for video calls, in two styles to switch between:
    python -m jaxstyle.live 1 virtual --model=cel --model=woodblock
  a network camera, recorded as well:
    python -m jaxstyle.live rtsp://camera/stream window --sink=show.mp4 --model=cel
"""
_SINKS = ("window", "http", "virtual")


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.live") -> int:
    """Runs the command; returns its exit status."""
    parser = _parser(prog)
    # In any order: argparse by itself ends SOURCE and SINK at the first option.
    args = parser.parse_intermixed_args(argv)
    if args.sink is None and args.source in _SINKS:
        args.source, args.sink = None, args.source
    args.source = "0" if args.source is None else args.source
    args.sink = args.sink or "window"
    if args.sink not in _SINKS and not args.sink.startswith("http://"):
        parser.error(f"{args.sink} shows nothing live; SINK is one of {', '.join(_SINKS)}")
    return stylize.run(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog, "Shows a camera in a style: in a window, in browsers, as a camera.", _DETAILS
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="(0, the first camera)")
    parser.add_argument("sink", metavar="SINK", nargs="?", help="(window)")
    stylize.add_options(parser)
    return parser


if __name__ == "__main__":
    run_program(main)
