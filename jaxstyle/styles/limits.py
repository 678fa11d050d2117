"""What a style is measured by before it ships, and the limits that it should keep.

The figures go into its bundle as a flat dict, {"swd_ratio of ink": 0.52, ...}: `metric_key` says
what each is called there.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

# As `jaxstyle.evaluate` has them by default: pixels of the shorter side, frames of a film,
# pictures.
SIZE, FRAMES, PHOTOS, ART = 256, 48, 32, 64


@dataclasses.dataclass(frozen=True)
class StyleMetric:
    """name: in the bundle. source: in `evaluation.catalogue`. limit: the most it should be."""

    name: str
    source: str
    label: str
    limit: float | None = None


OF_PHOTOS = (
    StyleMetric("swd_ratio", "swd/relative", "SWD to the art, x the photos' own", 0.6),
    StyleMetric("swd", "swd", "SWD to the art"),
    StyleMetric("ms_ssim", "ms_ssim", "MS-SSIM to the photo"),
    StyleMetric("edge_f1", "edge_f1", "edge F1 against the photo"),
)
OF_CLIPS = (
    StyleMetric(
        "warp_ratio_1", "warp_short/relative", "warp error over 1 frame, x the clip's own", 2.0
    ),
    StyleMetric(
        "warp_ratio_8", "warp_long/relative", "warp error over 8 frames, x the clip's own", 2.0
    ),
)


def metric_key(metric: StyleMetric, style: str = "", clip: str = "") -> str:
    """What a figure is called in a bundle: "warp_ratio_8 of ink on walk".

    style: of a bundle of several, else empty. clip: of figures of clips.
    """
    return metric.name + (f" of {style}" if style else "") + (f" on {clip}" if clip else "")


def rows(metadata: Mapping[str, Any]) -> list[tuple[str, StyleMetric, float | None]]:
    """(style and clip, figure, value) of a bundle that ships, in the order to tell them in.

    metadata: of the bundle, with "figures" and "measured". None for what could not be measured.
    """
    metrics, measured = metadata["figures"], metadata["measured"]
    result = []
    for style in measured["styles"]:
        for clip in ("", *measured["clips"]):
            told = ", ".join(part for part in (style, clip or "photos") if part)
            for metric in OF_CLIPS if clip else OF_PHOTOS:
                result.append((told, metric, metrics.get(metric_key(metric, style, clip))))
    return result


def told(value: float | None) -> str:
    """A figure for people: to 3 digits, a dash for what could not be measured."""
    return "-" if value is None else f"{value:.3g}"


def keeps(metric: StyleMetric, value: float | None) -> bool:
    """Whether a figure is within its limit: always without one, never if it was not measured."""
    return metric.limit is None or (value is not None and value <= metric.limit)


def verdict(metric: StyleMetric, value: float | None) -> str:
    """Whether a figure keeps its limit, in words; empty if it has none."""
    if metric.limit is None:
        return ""
    kept = "kept" if keeps(metric, value) else "MISSED"
    return f"at most {metric.limit}: {'not measured' if value is None else kept}"
