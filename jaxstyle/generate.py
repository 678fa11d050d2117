"""Makes images and films out of noise: `python -m jaxstyle.generate MODEL OUT`."""

import argparse
from collections.abc import Sequence

from jaxstyle.arguments import command_parser, fraction, positive_int, rate
from jaxstyle.errors import run_command, run_program
from jaxstyle.inference.shipped_styles import model_help
from jaxstyle.media.file_types import CONTAINERS, SAVE_OPTIONS

_DETAILS = """\
MODEL is a bundle of a generator that starts from noise, such as dcgan, wgan_gp or progan.
OUT is
  an image    (%(images)s): a grid of samples
  a film      (%(films)s): the same grid, every sample on a closed
              walk through the latent space, so that the film can be repeated without a seam
  a folder    (written samples/): single images, sample_00000.png and on
The same seed gives the same samples in all three, whatever their number.

examples:
  python -m jaxstyle.generate runs/dcgan/model.safetensors samples.png
  python -m jaxstyle.generate M walk.mp4 --rows=3 --columns=5 --frames=480 --seed=7
  python -m jaxstyle.generate M samples/ --count=1000
  random crops of a photo, each mixed half and half with a sample:
  python -m jaxstyle.generate M mixed.png --source=photo.jpg --strength=0.5
"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m jaxstyle.generate") -> int:
    """Runs the command; returns its exit status."""
    args = _parser(prog).parse_args(argv)
    return run_command(_run, args, interrupted="nothing half-written is left")


def _run(args: argparse.Namespace) -> None:
    from jaxstyle.commands.run_generate import generate

    generate(args)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = command_parser(
        prog,
        "Makes images and films out of noise.",
        _DETAILS % {"images": " ".join(SAVE_OPTIONS), "films": " ".join(CONTAINERS)},
    )
    parser.add_argument("model", metavar="MODEL", help=model_help())
    parser.add_argument("out", metavar="OUT", help="an image, a film or a folder")
    # Without defaults, so that those which OUT has no use for are seen.
    parser.add_argument("--rows", type=positive_int, metavar="N", help="of the grid (8)")
    parser.add_argument("--columns", type=positive_int, metavar="N", help="of the grid (8)")
    parser.add_argument(
        "--count", type=positive_int, metavar="N", help="of images in a folder (64)"
    )
    parser.add_argument("--frames", type=positive_int, metavar="N", help="how long a film is (240)")
    parser.add_argument("--fps", type=rate, help="of a film, such as 25 or 30000/1001 (24)")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the samples (0)")
    parser.add_argument(
        "--source", metavar="IMAGE", help="mix each sample with a random square of this image"
    )
    parser.add_argument(
        "--strength", type=fraction, help="of the mix, from 0, the source, to 1, the sample (0.5)"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an existing OUT (in a folder: the files of the same names)",
    )
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to 2**32 - 1")
    return int(text)


if __name__ == "__main__":
    run_program(main)
