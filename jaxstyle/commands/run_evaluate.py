"""Compares models on the same frames: what `jaxstyle.evaluate` does."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxstyle import features
from jaxstyle.errors import UserError
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
from jaxstyle.inference.open_model import open_model
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.models.examples import condition_of

_FEWEST_STYLE_IMAGES = 64
_FRAMES = "frames"  # the folder in DIR for --save_frames


def evaluate(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.evaluate` is asked for."""
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
            content.name: np.stack([truth[0] for truth in content.truths])
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
    most = max(len(images) for images in styles.values() if images is not None)
    return {"name": args.style, "images": most}


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
