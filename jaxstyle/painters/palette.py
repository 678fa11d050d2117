"""The colours of a photo moved to those of a set of pictures, by one affine map."""

import dataclasses
from collections.abc import Iterable

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Palette:
    """Mean [3] and covariance [3, 3] of the colours of a set of pictures, in CIE L*a*b*."""

    mean: np.ndarray
    covariance: np.ndarray


def palette_of(images: Iterable[np.ndarray]) -> Palette:
    """Of uint8 [H, W, 3] RGB images, each of the same weight."""
    means, seconds = [], []
    for image in images:
        colours = to_lab(image.astype(np.float32) / 255).reshape(-1, 3).astype(np.float64)
        means.append(colours.mean(axis=0))
        seconds.append(colours.T @ colours / len(colours))
    mean = np.mean(means, axis=0)
    return Palette(mean, np.mean(seconds, axis=0) - np.outer(mean, mean))


def repaint(image: np.ndarray, source: Palette, target: Palette, amount: float) -> np.ndarray:
    """Moves colours by the optimal transport between two normal distributions.

    The affine map that takes the palette `source` to `target` and moves colours the least (linear
    Monge-Kantorovitch, Pitie & Kokaram 2007), applied to float32 [H, W, 3] in [0, 1]. amount: 0
    leaves the image as it is, 1 is all the way. The map is that of the sets, not of the image: a
    night stays darker than a day.
    """
    root = _root(source.covariance)
    inverse = np.linalg.inv(root)
    matrix = inverse @ _root(root @ target.covariance @ root) @ inverse
    lab = to_lab(image)
    moved = (lab - source.mean) @ matrix.T + target.mean
    return from_lab((lab + amount * (moved - lab)).astype(np.float32))


def to_lab(image: np.ndarray) -> np.ndarray:
    """Float32 RGB in [0, 1] -> L* in [0, 100], a* and b* in about [-127, 127]."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """The inverse of `to_lab`; what no screen can show is clipped."""
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 1e-6))) @ vectors.T
