"""Names beside the points of a scatter plot, so that they cover neither points nor each other."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

_MARKER_RADIUS, _GAP = 5, 3  # points, 1/72 inch
_DISTANCES = (8, 20, 34, 50)  # points; from the second on a thin line leads to the point
_DIRECTIONS = 12


def label_points(panel: Axes, points: Sequence[tuple[float, float, str]], size: float) -> None:
    """Writes a name beside each point: x, y in data coordinates and the name.

    Greedy: each name in turn takes the nearest place that is free. The limits and the layout of the
    figure must be final. size: of the letters, in points.
    """
    scale = panel.figure.dpi / 72
    markers = [panel.transData.transform((x, y)) for x, y, _ in points]
    radius = _MARKER_RADIUS * scale
    taken = [Bbox.from_extents(*(at - radius), *(at + radius)) for at in markers]
    for (x, y, name), at in zip(points, markers, strict=True):
        text = panel.annotate(
            name,
            (x, y),
            (0, 0),
            textcoords="offset points",
            fontsize=size,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.0, "shrinkB": 4},
        )
        text.set_in_layout(False)
        extent = text.get_window_extent()
        offset, distance, place = min(
            _candidates(at, extent.width, extent.height, scale),
            key=lambda candidate: _cost(candidate[2], taken, panel.bbox) + 1e-3 * candidate[1],
        )
        taken.append(place)
        text.set_position(offset)
        if distance > _DISTANCES[0] and text.arrow_patch is not None:
            text.arrow_patch.set_alpha(0.5)


def _candidates(
    at: np.ndarray, width: float, height: float, scale: float
) -> Iterator[tuple[tuple[float, float], float, Bbox]]:
    """Places around a point: the offset in points of the text's lower left, distance, box."""
    for distance in _DISTANCES:
        for k in range(_DIRECTIONS):
            angle = 2 * math.pi * k / _DIRECTIONS
            toward = np.array([math.cos(angle), math.sin(angle)])
            # The box touches the circle with the side or corner that faces the point.
            middle = toward * (distance * scale + np.abs(toward) * np.array([width, height]) / 2)
            corner = middle - np.array([width, height]) / 2
            lower = at + corner
            upper = lower + np.array([width, height])
            x, y = corner / scale
            yield (x, y), distance, Bbox.from_extents(*lower, *upper)


def _cost(place: Bbox, taken: Sequence[Bbox], panel: Bbox) -> float:
    """The area in pixels that a place shares with others, or that lies outside the panel."""
    padded = place.padded(_GAP / 2)
    overlaps = (Bbox.intersection(padded, other) for other in taken)
    shared = sum(overlap.width * overlap.height for overlap in overlaps if overlap is not None)
    inside = Bbox.intersection(place, panel)
    outside = place.width * place.height - (inside.width * inside.height if inside else 0.0)
    return shared + 10 * outside
