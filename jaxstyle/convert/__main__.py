"""Makes a bundle of published PyTorch weights: `python -m jaxstyle.convert SOURCE... OUT`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.arguments import command_parser
from jaxstyle.choices import PUBLISHED_KINDS
from jaxstyle.errors import run_command, run_program

_DETAILS = """\
kinds:
  animegan2   AnimeGANv2 in the layout of github.com/bryandlee/animegan2-pytorch: one file
  microast    MicroAST in the layout of github.com/EndyWon/MicroAST: the files content_encoder,
              style_encoder, modulator and decoder in any order, or one file whose tensors' names
              begin with these; stylizes like any image that is given with --style

SOURCE is a .npz or .safetensors file of tensors by their published names, or a PyTorch file of
tensors alone; nothing in it is executed. PyTorch files are read by the interpreter that
--torch_python names. Where that has PyTorch, it also runs the published generator on a sample,
and OUT is written only if ours does the same.

The weights' licence remains their author's: state it with --licence, the bundle carries it.

examples:
  python -m jaxstyle.convert paprika.npz paprika.safetensors
  python -m jaxstyle.convert face_paint_512_v2.pt face.safetensors --torch_python=/venv/bin/python
  python -m jaxstyle.convert microast/*.npz microast.safetensors --name=microast --licence=MIT
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.convert") -> int:
    """Runs the command; returns its exit status."""
    return run_command(_run, _parser(prog).parse_args(argv), interrupted="nothing is written")


def _run(args: argparse.Namespace) -> None:
    from jaxstyle.commands.run_convert import convert

    convert(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(prog, "Makes a bundle of published PyTorch weights.", _DETAILS)
    parser.add_argument("sources", metavar="SOURCE", nargs="+", type=Path, help="published weights")
    parser.add_argument("out", metavar="OUT", type=Path, help="the .safetensors bundle to write")
    parser.add_argument(
        "--kind", choices=PUBLISHED_KINDS, help="of generator (what the tensors' names say)"
    )
    parser.add_argument("--name", help="of the style (OUT's name)")
    parser.add_argument("--licence", default="unknown", help="of the weights (unknown)")
    parser.add_argument(
        "--align_corners",
        action="store_true",
        help="animegan2: upsample as torch.hub's model does; without, as the port's test.py does",
    )
    parser.add_argument(
        "--torch_python",
        default=sys.executable,
        metavar="PYTHON",
        help="an interpreter that has PyTorch (this one)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")
    return parser


if __name__ == "__main__":
    run_program(main)
