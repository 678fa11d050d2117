"""Compares models on the same frames: `python -m jaxstyle.evaluate --model=... --out=DIR`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.arguments import command_parser, frame_size, positive_int
from jaxstyle.errors import run_command, run_program
from jaxstyle.extras import require
from jaxstyle.inference.shipped_styles import model_help

_DETAILS = """\
CONTENT is
  scenes      held-out scenes of the embedded data: exact motion, and the true cel frames
  a film      frames in a row from its middle; their motion is found by optical flow
  pictures    a folder, a glob, tfds:... as in config.data
The unstylized input and OpenCV's stylization filter are compared as well, as baselines.

In DIR: report.html, one file with tables, plots and pictures; report.json with all figures; the
plots and pictures as PNG.

examples:
  two models on held-out scenes, whose true cel frames are known:
    python -m jaxstyle.evaluate --model=cel --model=mine=runs/mine/model.safetensors \\
        --content=scenes --out=report
  on your own clips and photos, against the paintings that they learned from:
    python -m jaxstyle.evaluate --model=mine=runs/mine/model.safetensors \\
        --content=clip.mp4 --content=photos/ --style=paintings/ --out=report
  beside another program: write the frames, run it on report/frames/input, compare
    python -m jaxstyle.evaluate --content=clip.mp4 --save_frames --out=report
    python -m jaxstyle.evaluate --model=M --results=theirs=stylized/ --content=clip.mp4 --out=both
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.evaluate") -> int:
    """Runs the command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(prog).parse_args(argv)
    args.command = f"{prog} {shlex.join(argv)}"
    # Else JAX would take most of a GPU's memory from the processes that measure the speed.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return run_command(_run, args, interrupted="no report was written")


def _run(args: argparse.Namespace) -> None:
    require("train", "matplotlib")

    from jaxstyle.commands.run_evaluate import evaluate

    evaluate(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Compares models side by side on the same frames: style, content, steadiness, speed.",
        _DETAILS,
    )
    several: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument(
        "--model",
        metavar="[NAME=]MODEL",
        help=f"{model_help()}; may be repeated. Each of its styles is a contestant",
        **several,
    )
    parser.add_argument(
        "--results",
        metavar="NAME=FOLDER",
        help="what another program made of the frames that --save_frames wrote, in the same "
        "folders; may be repeated",
        **several,
    )
    parser.add_argument(
        "--content",
        required=True,
        metavar="CONTENT",
        action="append",
        help="what is stylized; may be repeated",
    )
    parser.add_argument(
        "--style",
        metavar="PICTURES",
        help="what it should look like: a folder, a glob, a film, or scenes; without it, the style "
        "is measured on scenes alone, against their truth",
    )
    parser.add_argument(
        "--style_image",
        dest="style_images",
        metavar="IMAGE",
        help="for models that take their style from an image; may be repeated",
        **several,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where it goes")
    parser.add_argument(
        "--save_frames",
        action="store_true",
        help="write all frames, of the input and of every contestant, to DIR/frames/",
    )
    _add_sizes(parser)
    _add_instruments(parser)
    return parser


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        type=positive_int,
        default=256,
        metavar="N",
        help="pixels of the shorter side, which frames are shrunk to (256)",
    )
    parser.add_argument(
        "--frames", type=positive_int, default=48, metavar="N", help="of each film (48)"
    )
    parser.add_argument(
        "--count", type=positive_int, default=32, metavar="N", help="of scenes and pictures (32)"
    )
    parser.add_argument(
        "--speed_size",
        type=frame_size,
        default=(640, 360),
        metavar="WxH",
        help="of the frames with which the speed is measured (640x360)",
    )
    parser.add_argument("--no_speed", action="store_true", help="do not measure the speed")


def _add_instruments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--judge",
        metavar="MODEL",
        help="a trained model whose discriminator scores all contestants",
    )
    parser.add_argument(
        "--inception",
        metavar="FILE|URL",
        help="InceptionV3's weights, for FID and KID: see jaxstyle/features/inception.py",
    )
    parser.add_argument("--inception_sha256", default="", metavar="DIGEST", help="a URL needs it")
    parser.add_argument(
        "--lpips", metavar="FILE", help="SqueezeNet's weights, as for training, for LPIPS"
    )
    parser.add_argument("--lpips_heads", metavar="FILE", help="the linear heads of LPIPS")


if __name__ == "__main__":
    run_program(main)
