"""The colours of photos moved to those of art, by optimal transport.

The whole set of photos is moved to the whole set of art: a colour of a photo goes to the same
colour of the art in every picture, so a night stays darker than a day, and films do not flicker.
"""

import dataclasses
from collections.abc import Iterable

import cv2
import numpy as np

from jaxstyle.guides.painters.matching import to_lab

# A difference of hue counts for less than one of lightness: who is dark stays dark.
_WEIGHTS = np.array([1.0, 0.8, 0.8], np.float32)
_CLUSTERS = 300
# Steps of the table, over L* from 0 to 100 and over a* and b* from -_MOST_HUE to it.
_STEPS, _MOST_HUE = 17, 96.0
# In squared units of L*a*b*; the last says how far colours that go to one place may come from, the
# ones before make it converge sooner.
_ENTROPIES, _ROUNDS = (300.0, 100.0, 30.0), 150
# So many pixels of each set say what its colours are.
_PIXELS = 24_000
# Of a picture's pixels, each such one. A prime divides no picture's width: all columns are counted.
_SPACING = 53


@dataclasses.dataclass(frozen=True)
class ArtColors:
    """Where colours of photos go, in CIE L*a*b*.

    table: float32 [17, 17, 17, 3], the colour of the art for L*, a* and b* of a photo. palette:
    float32 [K, 3], the K colours that stand for all of the art.
    """

    table: np.ndarray
    palette: np.ndarray

    def moved(self, lab: np.ndarray) -> np.ndarray:
        """[H, W, 3] of a photo -> the same of the art, trilinearly between the table's colours."""
        place = np.stack(
            [lab[..., 0] / 100, *(0.5 + lab[..., c] / (2 * _MOST_HUE) for c in (1, 2))], axis=-1
        )
        place = np.clip(place * (_STEPS - 1), 0, _STEPS - 1.001)
        low = place.astype(int)
        part = (place - low).astype(np.float32)
        total = np.zeros((*lab.shape[:2], 3), np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part), axis=-1, keepdims=True)
            at = low + np.array(corner)
            total += weight * self.table[at[..., 0], at[..., 1], at[..., 2]]
        return total

    def flattened(self, lab: np.ndarray, *, spread: float) -> np.ndarray:
        """[H, W, 3] in the palette's colours, each by how near it is.

        spread: how soft the steps between them are, a squared distance; hard ones flicker.
        """
        squares = np.square((lab[..., None, :] - self.palette) * _WEIGHTS).sum(axis=-1)
        nearness = np.exp((squares.min(axis=-1, keepdims=True) - squares) / np.float32(spread))
        return nearness @ self.palette / nearness.sum(axis=-1, keepdims=True)


def art_colors(
    photos: Iterable[np.ndarray], art: Iterable[np.ndarray], *, palette: int
) -> ArtColors:
    """Moves the colours of `photos` to those of `art`, both uint8 [H, W, 3] RGB, at least one each.

    palette: how many colours are to stand for the art's. The plan is that of entropic optimal
    transport (Cuturi 2013) between clusters of both, and a colour goes to the mean of where the
    plan sends it; so it holds for colours that no photo has shown.
    """
    their_pixels = _pixels(art)
    ours, our_shares = _clusters(_pixels(photos), _CLUSTERS)
    theirs, their_shares = _clusters(their_pixels, _CLUSTERS)
    costs = np.square(ours[:, None] - theirs).sum(axis=-1).astype(np.float64)
    potential = np.zeros(len(theirs))
    for entropy in _ENTROPIES:
        for _ in range(_ROUNDS):
            of_ours = -entropy * _log_sum(
                (potential - costs) / entropy + np.log(their_shares), axis=1
            )
            potential = -entropy * _log_sum(
                (of_ours[:, None] - costs) / entropy + np.log(our_shares)[:, None], axis=0
            )
    hues = np.linspace(-_MOST_HUE, _MOST_HUE, _STEPS)
    axes = np.meshgrid(np.linspace(0, 100, _STEPS), hues, hues, indexing="ij")
    colors = np.stack(axes, axis=-1).reshape(-1, 3) * _WEIGHTS
    squares = np.square(colors[:, None] - theirs).sum(axis=-1)
    logits = (potential - squares) / entropy + np.log(their_shares)
    plan = np.exp(logits - logits.max(axis=1, keepdims=True))
    table = plan @ theirs / plan.sum(axis=1, keepdims=True) / _WEIGHTS
    return ArtColors(
        table.reshape(_STEPS, _STEPS, _STEPS, 3).astype(np.float32),
        _clusters(their_pixels, palette)[0] / _WEIGHTS,
    )


def _pixels(images: Iterable[np.ndarray]) -> np.ndarray:
    """About `_PIXELS` colours of all images together, evenly spaced: float32 [N, 3], L*a*b*."""
    colors = np.concatenate(
        [to_lab(image.astype(np.float32) / 255).reshape(-1, 3)[::_SPACING] for image in images]
    )
    return colors[:: max(1, len(colors) // _PIXELS)]


def _clusters(colors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The centres [K, 3] of K clusters, weighted, and the share of the colours in each.

    There are fewer than `count` where there are fewer colours.
    """
    weighted = np.ascontiguousarray(colors * _WEIGHTS, np.float32)
    count = min(count, len(np.unique(weighted, axis=0)))
    cv2.setRNGSeed(0)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 25, 0.1)
    labels = np.empty((len(weighted), 1), np.int32)
    _, _, centres = cv2.kmeans(weighted, count, labels, until, 1, cv2.KMEANS_PP_CENTERS)
    centres = np.asarray(centres)
    sizes = np.bincount(labels.ravel(), minlength=count)
    return centres[sizes > 0], sizes[sizes > 0] / len(weighted)


def _log_sum(logits: np.ndarray, *, axis: int) -> np.ndarray:
    most = logits.max(axis=axis, keepdims=True)
    return np.log(np.exp(logits - most).sum(axis=axis)) + most.squeeze(axis)
