"""Measures a style before it ships, by what `jaxstyle.styles.limits` asks for."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.measure import Metrics, measure, with_relative
from jaxstyle.styles.limits import OF_CLIPS, OF_PHOTOS, metric_key

_DIGITS = 4


def measure_style(
    stylize: Callable[[np.ndarray], np.ndarray],
    photos: Content,
    art: np.ndarray,
    clips: Mapping[str, Content],
    style: str = "",
) -> dict[str, float]:
    """The figures of one style by `metric_key`, to 4 digits; what cannot be measured is left out.

    stylize: uint8 [T, H, W, 3], consecutive frames or pictures, to the same. photos, clips (by
    name): of one `Footage` each. art: uint8 [M, S, S, 3], S the side of the photos.
    """
    keyed = {}
    of_photos = _measured(stylize, photos, art)
    for metric in OF_PHOTOS:
        keyed[metric_key(metric, style)] = of_photos[metric.source]
    for name, clip in clips.items():
        of_clip = _measured(stylize, clip, None)
        for metric in OF_CLIPS:
            keyed[metric_key(metric, style, name)] = of_clip[metric.source]
    return {key: float(f"{v:.{_DIGITS}g}") for key, v in keyed.items() if v is not None}


def _measured(
    stylize: Callable[[np.ndarray], np.ndarray], content: Content, art: np.ndarray | None
) -> Metrics:
    (footage,) = content.clips
    own = measure(content, [footage.frames], art)
    return with_relative(measure(content, [stylize(footage.frames)], art), own)
