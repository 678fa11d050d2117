"""Exports a model for other programs: `python -m jaxstyle.export MODEL OUT`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import command_parser, frame_size, positive_int
from jaxstyle.choices import DTYPES, EXPORT_FORMATS, PLATFORMS
from jaxstyle.errors import run_command, run_program
from jaxstyle.inference.shipped_styles import model_help

_DETAILS = """\
The exported function takes uint8 RGB frames [N, H, W, 3] and a float32 strength, and gives uint8
frames of the same shape. Without --size it takes frames whose height and width are multiples of
the generator's stride (4 or 8), from 8 strides on; with --size it takes that size, which may be
any. Of a model of several styles it has one, and so of a model that takes any.

OUT is written only after the exported model has been run and its frames compared with the source.

examples:
  python -m jaxstyle.export cel cel.onnx
  python -m jaxstyle.export anime.safetensors anime.stablehlo --platforms=cpu,cuda
  python -m jaxstyle.export anime.safetensors anime_vga.onnx --size=640x480 --batch=1
  python -m jaxstyle.export four.safetensors ink.onnx --style=ink
  python -m jaxstyle.export arbitrary.safetensors wave.onnx --style=wave.jpg
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.export") -> int:
    """Runs the command; returns its exit status."""
    return run_command(_run, _parser(prog).parse_args(argv), interrupted="nothing is written")


def _run(args: argparse.Namespace) -> None:
    from jaxstyle.commands.run_export import export_model

    export_model(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(prog, "Exports a model as StableHLO or ONNX.", _DETAILS)
    parser.add_argument("model", metavar="MODEL", help=model_help())
    parser.add_argument("out", metavar="OUT", type=Path, help="a .stablehlo or .onnx file")
    parser.add_argument("--format", choices=EXPORT_FORMATS, help="(what OUT's name ends in)")
    parser.add_argument(
        "--style",
        metavar="NAME|IMAGE",
        help="of a model of several styles, the name of one (the first); of one that takes its "
        "style from an image, that image",
    )
    parser.add_argument("--size", type=frame_size, metavar="WxH", help="of the frames (open)")
    parser.add_argument("--batch", type=positive_int, metavar="N", help="frames per call (open)")
    parser.add_argument("--dtype", choices=DTYPES, help="of the computation (the model's own)")
    parser.add_argument(
        "--platforms",
        type=_platforms,
        default=PLATFORMS,
        metavar="P,P",
        help="StableHLO only: what it runs on (cpu,cuda,tpu)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")
    return parser


def _platforms(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(PLATFORMS):
        known = ", ".join(PLATFORMS)
        raise argparse.ArgumentTypeError(f"{text} is not some of {known}, joined by commas")
    return names


if __name__ == "__main__":
    run_program(main)
