"""All figures of one contestant on one content."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.evaluation.catalogue import METRICS, RELATIVE, RELATIVE_TO_INPUT
from jaxstyle.evaluation.color_histogram import color_histogram_distance
from jaxstyle.evaluation.contents import Content, middle_square
from jaxstyle.evaluation.edges import edge_f1
from jaxstyle.evaluation.fid import SMALLEST_SET, frechet_distance
from jaxstyle.evaluation.footage import LONG_SPAN, SHORT_SPAN, evenly_spaced
from jaxstyle.evaluation.grid import SMALLEST_SIDE, grid_power
from jaxstyle.evaluation.kid import kernel_distance
from jaxstyle.evaluation.ms_ssim import ms_ssim
from jaxstyle.evaluation.psnr import psnr
from jaxstyle.evaluation.ssim import ssim
from jaxstyle.evaluation.swd import sliced_wasserstein
from jaxstyle.evaluation.temporal_consistency import flicker, relative, warp_error
from jaxstyle.features import LPIPS_LAYERS, FeatureNetwork, inception
from jaxstyle.inference.judge import FrameJudge
from jaxstyle.losses.color import rgb_to_grey
from jaxstyle.losses.perceptual import lpips

# What statistics and pairs of frames are taken of; of more, evenly spaced ones. The distances of
# InceptionV3's features, which want many, have all.
_COMPARED_FRAMES = 64
# Images that a network sees together.
_BATCH = 8
_JUDGED_FRAMES = 16
# Of each set, as published implementations have it.
_KID_SUBSETS, _KID_SUBSET = 100, 1000
_SMALLEST_KID_SET = 2

Metrics = dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class Instruments:
    """Pretrained networks to measure with, each None where its weights were not given.

    inception: parameters for FID and KID. lpips: the network, its parameters and the linear heads.
    judge: the discriminator that scores all contestants.
    """

    inception: Any = None
    lpips: tuple[FeatureNetwork, Any, tuple[jax.Array, ...]] | None = None
    judge: FrameJudge | None = None


def measure(
    content: Content,
    outputs: Sequence[np.ndarray],
    style: np.ndarray | None,
    instruments: Instruments | None = None,
) -> Metrics:
    """All figures of `catalogue.METRICS`, None for what cannot be measured here.

    outputs: of each clip, uint8 of its shape. style: uint8 [M, S, S, 3] with S the shorter side
    of the frames, what the outputs should look like. Raises `UserError` if shapes differ.
    """
    _check_shapes(content, outputs)
    instruments = instruments or Instruments()
    everything = compared_frames(content)
    chosen = [everything[i] for i in evenly_spaced(len(everything), _COMPARED_FRAMES)]
    shown, given = (
        np.stack([clips[i][k] for i, k in chosen])
        for clips in (outputs, [clip.frames for clip in content.clips])
    )
    metrics: Metrics = dict.fromkeys(METRICS)
    if style is not None:
        some = style[evenly_spaced(len(style), _COMPARED_FRAMES)]
        metrics |= _style_metrics(shown, some)
    if style is not None and instruments.inception is not None:
        frames = np.stack([outputs[i][k] for i, k in everything])
        metrics |= _inception_metrics(frames, style, instruments.inception)
    metrics |= _content_metrics(shown, given, instruments)
    if content.has_truth:
        truths = content.truths
        truth = np.stack([truths[i][k] for i, k in chosen])
        metrics["truth_ssim"] = _mean_over_batches(ssim, shown, truth)
        metrics["truth_psnr"] = _mean_over_batches(psnr, shown, truth)
    metrics |= _temporal_metrics(content, outputs)
    if instruments.judge:
        metrics["judge"] = _judged(instruments.judge, shown, given)
    return metrics


def with_relative(metrics: Metrics, own: Metrics) -> Metrics:
    """Adds NAME/relative: the figures as multiples of those of the unstylized input."""
    result = {}
    for name, value in metrics.items():
        result[name] = value
        if name in RELATIVE_TO_INPUT:
            result[name + RELATIVE] = relative(value, own[name])
    return result


def missing(
    content: Content, style: np.ndarray | None, instruments: Instruments, own: Metrics
) -> list[str]:
    """Why figures of a content are None, a line each. own: those of the unstylized input."""
    lines = []
    if style is None:
        lines.append(f"{content.name}: no figures of style, as there is no --style to compare with")
    elif instruments.inception is not None:
        fewest = min(len(compared_frames(content)), len(style))
        if fewest < _SMALLEST_KID_SET:
            lines.append(f"{content.name}: neither FID nor KID of a single picture")
        elif fewest < SMALLEST_SET:
            lines.append(
                f"{content.name}: no FID of {fewest} pictures, it wants {SMALLEST_SET} or more; "
                "KID does with few"
            )
    if not content.moves:
        lines.append(f"{content.name}: nothing of steadiness, these are single pictures")
        return lines
    if own["warp_short"] is None:
        lines.append(f"{content.name}: no warp error, as its motion cannot be followed")
    elif own["warp_long"] is None:
        lines.append(
            f"{content.name}: no warp error at long range, as its motion cannot be followed so far"
        )
    if own["flicker"] is None:
        lines.append(f"{content.name}: no flicker, as hardly anything stands still in it")
    return lines


def caveats(content: Content, own: Metrics) -> list[str]:
    """What a reader of a content's figures should know, a line each.

    own: those of the unstylized input, with relative ones.
    """
    lines = []
    total = sum(len(clip.frames) for clip in content.clips)
    number = min(len(compared_frames(content)), _COMPARED_FRAMES)
    if number < total:
        lines.append(
            f"{content.name}: style, content and truth are measured on {number} of {total} frames"
        )
    lines += [
        f"{content.name}: the input's own {METRICS[name].label} is below 0.5/255, and the figures "
        "relative to it are multiples of 0.5/255"
        for name in RELATIVE_TO_INPUT
        if (share := own[name + RELATIVE]) is not None and share < 1
    ]
    return lines


def _check_shapes(content: Content, outputs: Sequence[np.ndarray]) -> None:
    for clip, frames in zip(content.clips, outputs, strict=True):
        if frames.shape != clip.frames.shape:
            raise UserError(
                f"{content.name}: results of shape {frames.shape} for frames of shape "
                f"{clip.frames.shape}; frames must stay as they are in number and size"
            )


def compared_frames(content: Content) -> list[tuple[int, int]]:
    """(clip, frame) of those that are compared as pictures, not in motion."""
    if content.has_truth:
        # Frames of a scene are alike: of each the first, as in training.
        return [(i, 0) for i in range(len(content.clips))]
    return [(i, k) for i, clip in enumerate(content.clips) for k in range(len(clip.frames))]


def _style_metrics(shown: np.ndarray, style: np.ndarray) -> Metrics:
    squares = _squares_like(style, shown)
    a, b = (jnp.asarray(frames, jnp.float32) / 255 for frames in (squares, style))
    measurable = style.shape[1] >= SMALLEST_SIDE
    return {
        "grid": grid_power(squares) / grid_power(style) if measurable else None,
        "swd": float(sliced_wasserstein(a, b, jax.random.key(0))["swd/mean"]),
        "color_histogram": float(color_histogram_distance(a, b)),
    }


def _inception_metrics(shown: np.ndarray, style: np.ndarray, parameters: Any) -> Metrics:
    a, b = (inception.activations(parameters, x) for x in (_squares_like(style, shown), style))
    smallest, largest = sorted((len(a), len(b)))
    metrics: Metrics = {}
    if smallest >= _SMALLEST_KID_SET:
        # Whole sets are the only subsets of their size.
        subsets = 1 if smallest == largest <= _KID_SUBSET else _KID_SUBSETS
        found, _ = kernel_distance(a, b, jax.random.key(0), subsets, _KID_SUBSET)
        metrics["kid"] = found
    if smallest >= SMALLEST_SET:
        metrics["fid"] = frechet_distance(a, b)
    return metrics


def _squares_like(style: np.ndarray, frames: np.ndarray) -> np.ndarray:
    return np.stack([middle_square(frame, style.shape[1]) for frame in frames])


def _content_metrics(shown: np.ndarray, given: np.ndarray, instruments: Instruments) -> Metrics:
    metrics: Metrics = {
        "ssim": _mean_over_batches(_ssim_of_luma, shown, given),
        "ms_ssim": _mean_over_batches(ms_ssim, shown, given),
        "edge_f1": float(np.mean(edge_f1(shown, given))),
    }
    if instruments.lpips is not None:
        distance = functools.partial(_lpips, *instruments.lpips)
        metrics["lpips"] = _mean_over_batches(distance, shown, given)
    return metrics


# Of the module, so that it is compiled once and not for every contestant.
@functools.partial(jax.jit, static_argnums=0)
def _lpips(
    network: FeatureNetwork,
    parameters: Any,
    heads: tuple[jax.Array, ...],
    a: jax.Array,
    b: jax.Array,
) -> jax.Array:
    seen = (network.apply(parameters, 2 * x - 1, LPIPS_LAYERS) for x in (a, b))
    features, reference = ([maps[layer] for layer in LPIPS_LAYERS] for maps in seen)
    return lpips(features, reference, heads)


def _ssim_of_luma(a: jax.Array, b: jax.Array) -> jax.Array:
    # Accelerators multiply matrices in reduced precision unless told otherwise.
    with jax.default_matmul_precision("highest"):
        return ssim(rgb_to_grey(a), rgb_to_grey(b))


def _temporal_metrics(content: Content, outputs: Sequence[np.ndarray]) -> Metrics:
    """Root mean squares over clips."""
    names = {SHORT_SPAN: "warp_short", LONG_SPAN: "warp_long"}
    values: Mapping[str, list[float | None]] = {
        name: [] for name in ("warp_short", "warp_long", "flicker")
    }
    for clip, frames in zip(content.clips, outputs, strict=True):
        for motion in clip.motions:
            values[names[motion.span]].append(warp_error(frames, motion))
        if clip.motions:
            values["flicker"].append(flicker(frames, clip.frames))
    return {name: _root_mean_square(found) for name, found in values.items()}


def _root_mean_square(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None


def _judged(judge: FrameJudge, shown: np.ndarray, given: np.ndarray) -> float | None:
    numbers = evenly_spaced(len(shown), _JUDGED_FRAMES)
    return float(np.mean([judge.score(shown[i], given[i]) for i in numbers]))


def _mean_over_batches(
    metric: Callable[[jax.Array, jax.Array], jax.Array], a: np.ndarray, b: np.ndarray
) -> float:
    """The mean of a figure of pairs, of float32 frames in [0, 1], a few at a time."""
    values = []
    for i in range(0, len(a), _BATCH):
        pair = (jnp.asarray(x[i : i + _BATCH], jnp.float32) / 255 for x in (a, b))
        values.append(np.asarray(metric(*pair)))
    return float(np.concatenate(values).mean())
