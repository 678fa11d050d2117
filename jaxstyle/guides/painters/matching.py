"""What is painted, given the colours and the contrasts of a set of pictures.

A picture is taken apart into bands, from the finest detail to what is left when all detail is
blurred away. That rest has its colours moved by one affine map, and each band its contrasts by one
curve. Both are those of whole sets, so that a night stays darker than a day, and a wall smoother
than a tree.
"""

import dataclasses
from collections.abc import Iterable

import cv2
import numpy as np

# The blurs between the bands, in pixels. Bands are not thinned out: a pixel more or less at the
# border of a picture must not change what is painted in its middle.
_SIGMAS = (1.0, 2.0, 4.0, 8.0)
# The shares of pixels whose contrast is below a point of a band's curve.
_RANKS = np.array([*np.linspace(0, 0.9, 19), 0.93, 0.96, 0.98, 0.99, 0.995, 0.999, 1.0])
# No contrast is made more than so many times as strong: what is next to nothing is noise.
_MOST_GAIN = 2.5
_EVERY = 7  # pixel of a picture is counted


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of a set of pictures, in CIE L*a*b*.

    contrasts: [bands, 3, ranks], quantiles of the absolute values of each band and channel. mean,
    covariance: [3] and [3, 3], of what is left. All float64.
    """

    contrasts: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


def statistics_of(images: Iterable[np.ndarray]) -> Statistics:
    """Of uint8 [H, W, 3] RGB images, at least one; every pixel counts the same."""
    contrasts: list[list[np.ndarray]] = [[] for _ in _SIGMAS]
    rests = []
    for image in images:
        bands, rest = _apart(to_lab(image.astype(np.float32) / 255))
        for collected, band in zip(contrasts, bands, strict=True):
            collected.append(np.abs(band).reshape(-1, 3)[::_EVERY])
        rests.append(rest.reshape(-1, 3)[::_EVERY])
    quantiles = [np.quantile(np.concatenate(c), _RANKS, axis=0).T for c in contrasts]
    colours = np.concatenate(rests).astype(np.float64)
    return Statistics(np.stack(quantiles), colours.mean(axis=0), np.cov(colours.T))


def matched(
    image: np.ndarray, source: Statistics, target: Statistics, *, colours: float, contrasts: float
) -> np.ndarray:
    """Moves a picture of the set `source` to how those of the set `target` look.

    image: float32 RGB [H, W, 3] in [0, 1]; so is the result. Colours go by the affine map between
    two normal distributions that moves them the least (linear Monge-Kantorovitch, Pitie & Kokaram
    2007); the contrasts of a band by the curve that gives them the distribution of the target's, as
    Heeger & Bergen (1995) make textures. colours, contrasts: how far, from 0, not at all, to 1.
    """
    bands, rest = _apart(to_lab(image))
    moved = (rest - source.mean) @ _transport(source.covariance, target.covariance).T + target.mean
    lab = rest + colours * (moved - rest)
    for band, ours, theirs in zip(bands, source.contrasts, target.contrasts, strict=True):
        strength = np.abs(band)
        wanted = np.stack([np.interp(strength[..., c], ours[c], theirs[c]) for c in range(3)], -1)
        wanted = np.minimum(wanted, _MOST_GAIN * strength)
        lab += np.sign(band) * (strength + contrasts * (wanted - strength))
    return from_lab(lab.astype(np.float32))


def to_lab(image: np.ndarray) -> np.ndarray:
    """Float32 RGB in [0, 1] -> L* in [0, 100], a* and b* in about [-127, 127]."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """The inverse of `to_lab`; what no screen can show is clipped."""
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def _apart(lab: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The bands of a picture, from fine to coarse, and the rest: their sum is the picture."""
    bands = []
    for sigma in _SIGMAS:
        blurred = cv2.GaussianBlur(lab, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        bands.append(lab - blurred)
        lab = blurred
    return bands, lab


def _transport(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The matrix that takes one covariance [3, 3] to the other and moves the least."""
    root = _root(source)
    inverse = np.linalg.inv(root)
    return inverse @ _root(root @ target @ root) @ inverse


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    # Greys have no spread of colours, and what there is of rounding must not become one.
    return (vectors * np.sqrt(np.maximum(values, 0.05))) @ vectors.T
