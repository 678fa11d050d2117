"""Compares models on the same frames: `python -m jaxstyle.evaluate --model=... --out=DIR`."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxstyle import features
from jaxstyle.arguments import frame_size, positive_int
from jaxstyle.errors import UserError, run_command
from jaxstyle.evaluation import report
from jaxstyle.evaluation.contents import (
    FEWEST_FRAMES,
    Content,
    check_content,
    check_style,
    file_name,
    open_content,
    open_style,
    unique_names,
)
from jaxstyle.evaluation.contestants import (
    INPUT,
    Contestant,
    baselines,
    check_names,
    check_results,
    model_contestants,
    results_contestant,
)
from jaxstyle.evaluation.costs import measure_costs
from jaxstyle.evaluation.document import report_document
from jaxstyle.evaluation.excerpts import excerpt, strip
from jaxstyle.evaluation.footage import SMALLEST_SIZE
from jaxstyle.evaluation.measure import (
    Instruments,
    Metrics,
    caveats,
    measure,
    missing,
    with_relative,
)
from jaxstyle.evaluation.summary import summary
from jaxstyle.features import inception
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.inference.engine import keep_compiled_programs
from jaxstyle.inference.judge import FrameJudge
from jaxstyle.inference.model_files import model_help
from jaxstyle.inference.open_model import open_model
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.models.examples import condition_of

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

_FEWEST_STYLE_IMAGES = 64
_FRAMES = "frames"  # the folder in DIR for --save_frames


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser().parse_args(argv)
    args.command = shlex.join(["python", "-m", "jaxstyle.evaluate", *argv])
    # Else JAX would take most of a GPU's memory from the processes that measure the speed.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return run_command(_evaluate, args, interrupted="no report was written")


def _evaluate(args: argparse.Namespace) -> None:
    keep_compiled_programs()
    _check(args)
    contestants = [
        *baselines(),
        *model_contestants(args.model, args.style_images),
        *map(results_contestant, args.results),
    ]
    check_names(contestants)
    instruments = _instruments(args)
    make_folder(args.out)
    if not os.access(args.out, os.W_OK):
        raise UserError(f"cannot write to the folder {args.out}; give another --out")
    contents = unique_names(
        [
            open_content(spec, size=args.size, frames=args.frames, count=args.count)
            for spec in tqdm(args.content, desc="reading", unit="content", disable=None)
        ]
    )
    check_results(contestants, contents)
    styles = _styles(contents, args)
    frames_folder = args.out / _FRAMES if args.save_frames else None
    metrics, strips = _compare(contestants, contents, styles, instruments, frames_folder)
    costs, notes = ({}, []) if args.no_speed else measure_costs(contestants, args.speed_size)
    for content in contents:
        own = metrics[INPUT][content.name]
        notes += missing(content, styles[content.name], instruments, own)
        notes += caveats(content, own)
    document = report_document(
        contents,
        contestants,
        metrics,
        costs,
        style=_told_style(args, styles),
        notes=[*notes, *_notes(contents, args)],
        command=args.command,
    )
    _write_report(args.out, document, strips)
    print(summary(document))
    print(f"report: {args.out / 'report.html'}")


def _check(args: argparse.Namespace) -> None:
    """Raises `UserError` for what cannot work: at once, not after minutes."""
    if args.size < SMALLEST_SIZE:
        raise UserError(f"--size is {args.size}; give {SMALLEST_SIZE} or more")
    if args.frames < FEWEST_FRAMES:
        raise UserError(f"--frames is {args.frames}; give {FEWEST_FRAMES} or more")
    if bool(args.lpips) != bool(args.lpips_heads):
        raise UserError("LPIPS needs --lpips, SqueezeNet's weights, and --lpips_heads")
    for i, spec in enumerate(args.content):
        if spec in args.content[:i]:
            raise UserError(f"--content={spec} is given twice; leave one out")
        check_content(spec)
    if args.style:
        check_style(args.style)
    if args.save_frames and (args.out / _FRAMES).exists():
        raise UserError(
            f"{args.out / _FRAMES} has frames of an earlier run; remove it or give another --out"
        )


def _instruments(args: argparse.Namespace) -> Instruments:
    lpips = None
    if args.lpips:
        network, parameters = features.load("squeezenet", args.lpips)
        lpips = (network, parameters, features.load_lpips_heads(args.lpips_heads))
    return Instruments(
        inception=inception.load(args.inception, args.inception_sha256) if args.inception else None,
        lpips=lpips,
        judge=_judge(args.judge) if args.judge else None,
    )


def _judge(path: str) -> FrameJudge:
    bundle = open_model(path)
    if condition_of(bundle.generator) is not None:
        raise UserError(
            f"--judge={path} has more than one style, and its discriminator judges each in its "
            "own way; give a model of one"
        )
    return FrameJudge(bundle)


def _styles(contents: Sequence[Content], args: argparse.Namespace) -> dict[str, np.ndarray | None]:
    """What each content should look like; that of scenes is their truth, unless --style is given.

    uint8 [M, S, S, 3], S the shorter side of the content's frames; None where nothing is known.
    """
    if not args.style:
        return {
            content.name: np.stack([clip.truth[0] for clip in content.clips])
            if content.has_truth
            else None
            for content in contents
        }
    count = max(_FEWEST_STYLE_IMAGES, args.count)
    sides = {min(content.size) for content in contents}
    opened = {side: open_style(args.style, size=side, count=count) for side in sides}
    return {content.name: opened[min(content.size)] for content in contents}


def _compare(
    contestants: Sequence[Contestant],
    contents: Sequence[Content],
    styles: dict[str, np.ndarray | None],
    instruments: Instruments,
    frames_folder: Path | None,
) -> tuple[dict[str, dict[str, Metrics]], list[report.Strip]]:
    """Runs all contestants; returns their figures, by contestant and content, and pictures.

    frames_folder: where all frames go; None: nowhere.
    """
    metrics: dict[str, dict[str, Metrics]] = {contestant.name: {} for contestant in contestants}
    strips = []
    with tqdm(total=len(contents) * len(contestants), unit="cell", disable=None) as progress:
        for content in contents:
            excerpts = {}
            # The input comes first: others are told as multiples of its figures.
            for contestant in contestants:
                progress.set_description(f"{contestant.name} on {content.name}")
                frames = [contestant.stylize(content, i) for i in range(len(content.clips))]
                found = measure(content, frames, styles[content.name], instruments)
                own = metrics[INPUT].get(content.name, found)
                metrics[contestant.name][content.name] = with_relative(found, own)
                excerpts[contestant.name] = excerpt(content, frames)
                if frames_folder:
                    _save_frames(frames_folder / file_name(contestant.name), content, frames)
                progress.update()
            strips.append(strip(content, excerpts))
    return metrics, strips


def _save_frames(folder: Path, content: Content, outputs: Sequence[np.ndarray]) -> None:
    for i, frames in enumerate(outputs):
        for k, frame in enumerate(frames):
            write_png(folder / content.folder(i) / f"{k:05d}.png", frame)


def _told_style(args: argparse.Namespace, styles: dict[str, np.ndarray | None]) -> dict | None:
    if not args.style:
        return None
    return {"name": args.style, "images": max(len(images) for images in styles.values())}


def _notes(contents: Sequence[Content], args: argparse.Namespace) -> list[str]:
    lines = [
        f"{content.name}: its style is the true cel frames of the same scenes"
        for content in contents
        if content.has_truth and not args.style
    ]
    if args.judge:
        lines.append(f"discriminator score: that of {args.judge}, for all")
    if args.no_speed:
        lines.append("what the models cost was not measured (--no_speed)")
    else:
        width, height = args.speed_size
        lines.append(
            f"speed: uint8 frames of {width}x{height} in, uint8 frames out, one a call, computed "
            "in float32 on the machine below; --speed_size chooses another size"
        )
    return lines


def _write_report(folder: Path, document: dict, strips: Sequence[report.Strip]) -> None:
    write_whole(folder / "report.json", json.dumps(document, indent=1, allow_nan=False).encode())
    for name, content in report.pngs(document, strips).items():
        write_whole(folder / name, content)
    write_whole(folder / "report.html", report.report_html(document, strips).encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.evaluate",
        description="Compares models side by side on the same frames: style, content, "
        "steadiness, speed.",
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = {"action": "append", "default": []}
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
    sys.exit(main())
