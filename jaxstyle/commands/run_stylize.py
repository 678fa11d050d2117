"""Stylizes images, films, cameras and streams: what `jaxstyle.stylize` does."""

import argparse
import collections
import contextlib
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import jax

import jaxstyle
from jaxstyle.choices import ACCELERATOR_BATCH
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer, keep_compiled_programs
from jaxstyle.inference.judge import FrameJudge
from jaxstyle.inference.model_files import find_model
from jaxstyle.inference.open_model import open_model
from jaxstyle.inference.shipped_styles import model_help
from jaxstyle.inference.styles import Style, style_names, styles_of
from jaxstyle.media.film import FilmReader, FilmWriter
from jaxstyle.media.images import read_image
from jaxstyle.models.examples import condition_of
from jaxstyle.realtime.captures import Captures
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.destinations import Output, is_watched, written_path
from jaxstyle.realtime.frame_loop import Loop
from jaxstyle.realtime.frame_sinks import Sink
from jaxstyle.realtime.frame_sources import (
    ImageSource,
    RepeatedSource,
    Source,
    files_of,
    open_source,
)
from jaxstyle.realtime.judging import JudgeSink, check_judge_clashes, check_judge_path
from jaxstyle.realtime.mask import Mask, open_mask
from jaxstyle.realtime.metrics import Metrics, write_report
from jaxstyle.realtime.scheduler import Scheduler
from jaxstyle.realtime.strength import StrengthCurve

# For images; and what a live picture should not fall below.
_FPS = Fraction(24)


def stylize(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.stylize` and `jaxstyle.live` are asked for."""
    names = [*([args.sink] if args.sink else []), *args.more_sinks]
    if not names:
        raise UserError("no SINK is named: where should the pictures go? --help lists them")
    if not args.model:
        raise UserError(f"give a --model=MODEL: {model_help()}")
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise UserError(f"the sink {name} is named twice")
    keep_compiled_programs()
    # Compiling in the background would otherwise hold up every frame for some milliseconds at each
    # hand-over between threads.
    sys.setswitchinterval(0.0005)
    metrics = Metrics(jaxstyle.STARTED)
    if args.report and not args.report.absolute().parent.is_dir():
        raise UserError(f"there is no folder {args.report.parent} to write {args.report.name} to")
    bundles = [open_model(model) for model in args.model]
    first_style, images = _named_style(args.styles, bundles)
    style_images = [read_image(path) for path in images]
    names_of_styles = style_names(bundles, [path.stem for path in images])
    styles = styles_of(bundles, len(style_images))
    judge = _open_judge(args, bundles)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(_open_source(args, names)))
        mask = _open_mask(args, source, stack)
        if judge:
            _check_judged(args, names, source, mask, images)
        controls = _controls(args, names_of_styles, styles, first_style)
        comment = _comment(bundles, [first_style] if first_style else names_of_styles)
        stretch_to = None if source.live else args.size
        output = Output(
            source,
            controls,
            metrics,
            comment,
            size=stretch_to,
            max_frames=args.max_frames,
            overwrite=args.overwrite,
            token=args.token,
        )
        sinks = {name: stack.enter_context(output.open(name)) for name in names}
        watched = any(sink.live for sink in sinks.values())
        if watched:
            captures = Captures(args.captures, controls, source.time_base, source.rate, comment)
            sinks["captures"] = stack.enter_context(captures)
        if judge:
            judging = JudgeSink(judge, args.judge, source.time_base, controls, styles)
            sinks["judge"] = stack.enter_context(judging)
        stylizer = Stylizer(bundles, style_images=style_images)
        loop = Loop(
            source,
            _scheduler(args, source, stylizer, watched),
            sinks,
            controls,
            metrics,
            stretch_to=stretch_to,
            max_frames=args.max_frames,
            mask=mask,
        )
        try:
            loop.run()
        finally:
            if args.report:
                ran = {
                    "source": getattr(source, "name", args.source),
                    "sinks": names,
                    "styles": names_of_styles,
                    "reconnects": getattr(source, "reconnects", 0),
                }
                write_report(args.report, {**ran, **metrics.report()})
        _tell(args, source, mask, sinks, metrics)


def _named_style(asked: Sequence[str], bundles: Sequence[Bundle]) -> tuple[str, list[Path]]:
    """What --style asks for: the style to begin with, if one is named, and the style images.

    Raises `UserError` if two are named, or there is no such style and no such image.
    """
    several = [bundle for bundle in bundles if condition_of(bundle.generator) == "styles"]
    known = style_names(several)
    named = [style for style in asked if style in known]
    if len(named) > 1:
        raise UserError(
            f"--style names {' and '.join(named)}; name the one to begin with, controls do the rest"
        )
    images = [Path(style) for style in asked if style not in known]
    takes_images = any(condition_of(bundle.generator) == "image" for bundle in bundles)
    if images and several and not takes_images:
        raise UserError(f"no style {str(images[0])!r}; there are: {', '.join(known)}")
    return (named[0] if named else ""), images


def _open_judge(args: argparse.Namespace, bundles: Sequence[Bundle]) -> FrameJudge | None:
    if args.judge is None:
        return None
    check_judge_path(args.judge, args.overwrite)
    if len(bundles) > 1:
        raise UserError("the scores of two models cannot be compared; give --judge one --model")
    return FrameJudge(bundles[0])


def _check_judged(
    args: argparse.Namespace,
    sinks: list[str],
    source: Source,
    mask: Mask | None,
    style_images: Sequence[Path],
) -> None:
    """Raises `UserError` if scores would take the place of another file, or have no end."""
    if source.live and args.max_frames is None:
        raise UserError(
            "--judge writes its scores at the end, which a live source has none of; "
            "give --max_frames as well"
        )
    used = {
        "the source": files_of(source),
        "a sink": [path for path in map(written_path, sinks) if path],
        "the mask": mask.files if mask else [],
        "a style image": list(style_images),
        "a model": [find_model(model) for model in args.model],
        "the report": [args.report] if args.report else [],
    }
    check_judge_clashes(args.judge, used)


def _open_mask(
    args: argparse.Namespace, source: Source, stack: contextlib.ExitStack
) -> Mask | None:
    if args.mask is None:
        return None
    mask = open_mask(args.mask, args.fps or _FPS, live=source.live)
    return stack.enter_context(contextlib.closing(mask))


def _scheduler(
    args: argparse.Namespace, source: Source, stylizer: Stylizer, watched: bool
) -> Scheduler:
    on_cpu = jax.default_backend() == "cpu"
    return Scheduler(
        stylizer,
        live=source.live,
        watched=watched,
        fps=args.fps or _FPS,
        size=args.size,
        rounded=isinstance(source, ImageSource) and source.total > 1,
        batch=args.batch or (1 if watched or on_cpu else ACCELERATOR_BATCH),
    )


def _controls(
    args: argparse.Namespace, names: list[str], styles: list[Style], first_style: str
) -> Controls:
    curve = args.strength if isinstance(args.strength, StrengthCurve) else None
    controls = Controls(names, bundles=[style.bundle for style in styles], curve=curve)
    controls.change({"smoothing": args.smoothing})
    if curve is None:
        controls.change({"strength": args.strength})
    if first_style:
        controls.change({"style": first_style})
    return controls


def _comment(bundles: Sequence[Bundle], styles: Sequence[str]) -> str:
    """What films and images say of how they were made."""
    if all(condition_of(bundle.generator) is None for bundle in bundles):
        return f"Stylized with jaxstyle, model {', '.join(styles)}"
    models = ", ".join(bundle.metadata["name"] for bundle in bundles)
    return f"Stylized with jaxstyle, model {models}, style {', '.join(styles)}"


def _open_source(args: argparse.Namespace, sinks: list[str]) -> Source:
    source = open_source(
        args.source,
        args.fps or _FPS,
        keep_going=args.keep_going,
        size=args.size,
        fps=args.fps,
    )
    if isinstance(source, ImageSource) and any(map(is_watched, sinks)):
        # A picture that is watched stays, and controls act on it.
        return RepeatedSource(source)
    return source


def _tell(
    args: argparse.Namespace,
    source: Source,
    mask: Mask | None,
    sinks: dict[str, Sink],
    metrics: Metrics,
) -> None:
    """Says what there is to know of a run that has ended."""
    if metrics.counts["stylized"] > 1:
        print(metrics.summary(), file=sys.stderr)
    for name, sink in sinks.items():
        if isinstance(sink, FilmWriter) and sink.dropped:
            print(f"note: {name} cannot hold {', '.join(sink.dropped)}", file=sys.stderr)
    if isinstance(source, FilmReader) and source.damaged:
        print(f"note: {args.source} was damaged in {source.damaged} places", file=sys.stderr)
    if isinstance(source, ImageSource) and source.skipped:
        print(f"note: {source.skipped} images could not be read", file=sys.stderr)
    # A single picture is meant to stay.
    if mask and mask.ended and mask.count > 1:
        print(
            f"note: the mask ended after {mask.count} frames; its last one stayed", file=sys.stderr
        )
