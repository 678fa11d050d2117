"""What a style is measured by before it ships, and the limits that it should keep.

The figures go into its bundle as a flat dict, {"swd_ratio of ink": 0.52, ...}: `figure_key` says
what each is called there.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.measure import Figures, measure, with_relative

# As `jaxstyle.evaluate` has them by default: pixels of the shorter side, frames of a film,
# pictures.
SIZE, FRAMES, PHOTOS, ART = 256, 48, 32, 64
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Figure:
    """name: in the bundle. source: in `evaluation.catalogue`. limit: the most it should be."""

    name: str
    source: str
    label: str
    limit: float | None = None


OF_PHOTOS = (
    Figure("swd_ratio", "swd/relative", "SWD to the art, x the photos' own", 0.6),
    Figure("swd", "swd", "SWD to the art"),
    Figure("ms_ssim", "ms_ssim", "MS-SSIM to the photo"),
    Figure("edge_f1", "edge_f1", "edge F1 against the photo"),
)
OF_CLIPS = (
    Figure("warp_ratio_1", "warp_short/relative", "warp error over 1 frame, x the clip's own", 1.3),
    Figure("warp_ratio_8", "warp_long/relative", "warp error over 8 frames, x the clip's own", 1.3),
)


def figure_key(figure: Figure, style: str = "", clip: str = "") -> str:
    """What a figure is called in a bundle: "warp_ratio_8 of ink on walk".

    style: of a bundle of several, else empty. clip: of figures of clips.
    """
    return figure.name + (f" of {style}" if style else "") + (f" on {clip}" if clip else "")


def measure_style(
    stylize: Callable[[np.ndarray], np.ndarray],
    photos: Content,
    art: np.ndarray,
    clips: Mapping[str, Content],
    style: str = "",
) -> dict[str, float]:
    """The figures of one style by `figure_key`, to 4 digits; what cannot be measured is left out.

    stylize: uint8 [T, H, W, 3], consecutive frames or pictures, to the same. photos, clips (by
    name): of one `Footage` each. art: uint8 [M, S, S, 3], S the side of the photos.
    """
    keyed = {}
    of_photos = _measured(stylize, photos, art)
    for figure in OF_PHOTOS:
        keyed[figure_key(figure, style)] = of_photos[figure.source]
    for name, clip in clips.items():
        of_clip = _measured(stylize, clip, None)
        for figure in OF_CLIPS:
            keyed[figure_key(figure, style, name)] = of_clip[figure.source]
    return {key: float(f"{v:.{_DIGITS}g}") for key, v in keyed.items() if v is not None}


def _measured(
    stylize: Callable[[np.ndarray], np.ndarray], content: Content, art: np.ndarray | None
) -> Figures:
    (footage,) = content.clips
    own = measure(content, [footage.frames], art)
    return with_relative(measure(content, [stylize(footage.frames)], art), own)


def rows(metadata: Mapping[str, Any]) -> list[tuple[str, Figure, float | None]]:
    """(style and clip, figure, value) of a bundle that ships, in the order to tell them in.

    metadata: of the bundle, with "figures" and "measured". None for what could not be measured.
    """
    figures, measured = metadata["figures"], metadata["measured"]
    result = []
    for style in measured["styles"]:
        for clip in ("", *measured["clips"]):
            told = ", ".join(part for part in (style, clip or "photos") if part)
            for figure in OF_CLIPS if clip else OF_PHOTOS:
                result.append((told, figure, figures.get(figure_key(figure, style, clip))))
    return result


def told(value: float | None) -> str:
    """A figure for people: to 3 digits, a dash for what could not be measured."""
    return "-" if value is None else f"{value:.3g}"


def keeps(figure: Figure, value: float | None) -> bool:
    """Whether a figure is within its limit: always without one, never if it was not measured."""
    return figure.limit is None or (value is not None and value <= figure.limit)


def verdict(figure: Figure, value: float | None) -> str:
    """Whether a figure keeps its limit, in words; empty if it has none."""
    if figure.limit is None:
        return ""
    kept = "kept" if keeps(figure, value) else "MISSED"
    return f"at most {figure.limit}: {'not measured' if value is None else kept}"
