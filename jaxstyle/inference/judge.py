"""The discriminator as a judge of what comes out: which frames of a film look least like the style.

A discriminator was trained on crops of frames at one scale. Frames are judged whole and at that
scale: shrunk, where they are larger, so that the shorter side has as many pixels as one would
have had whose crops were trained on. What is poor is then seen as often as in training, and a
judgement costs the same for every film; grain that shrinking takes away is not seen.
Scores are comparable within one film and one model, not between models.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle

# Where a bundle does not say at which scale it was trained.
_DEFAULT_SIDE = 512
# Sizes are rounded to multiples of this, so that images of many sizes share programs.
_GRID = 32
_SMALLEST = 64

# The normal distribution's standard deviation is so many times its median absolute deviation.
_DEVIATIONS_PER_MAD = 1.4826
_OUTLIER = 3.0
_MOST_FLAGGED = 0.05
# Logits are of the order of 1; a film whose scores differ by less than this is even.
_EVEN = 1e-3


class FrameJudge:
    """Scores frames by a bundle's discriminator, on the device; higher is better.

    Raises `UserError` if the bundle has no discriminator, or one of NaN or infinite weights.
    """

    def __init__(self, bundle: Bundle):
        judge = bundle.discriminator
        if judge is None:
            name = bundle.metadata.get("name") or "the model"
            raise UserError(
                f"{name} has no discriminator to judge with: it was converted, or trained without "
                "one (config.losses.adversarial.weight 0), with one of pretrained features, or "
                "with config.judge=False"
            )
        leaves = jax.tree.leaves(judge.variables)
        if not all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
            raise UserError("the discriminator holds NaN or infinite weights: it diverged")
        self.conditional = judge.conditional
        self._side = _trained_side(bundle.metadata)
        self._square = getattr(judge.module, "image_size", None)
        variables = jax.device_put(judge.variables)

        @jax.jit
        def mean_logits(variables: Any, *pictures: jax.Array) -> jax.Array:
            x = [picture[None].astype(jnp.float32) / 127.5 - 1.0 for picture in pictures]
            logits: Any = judge.module.apply(variables, jnp.concatenate(x, axis=-1))
            return logits.mean(axis=(0, 1, 2))

        self._logits = lambda *pictures: np.asarray(mean_logits(variables, *pictures))

    def score(
        self, frame: np.ndarray, content: np.ndarray | None, weights: np.ndarray | None = None
    ) -> float:
        """The mean logit of the discriminator on a stylized frame, uint8 [H, W, 3] of any size.

        content: the frame before it was stylized, uint8 [H', W', 3]; only a conditional
        discriminator looks at it, and for others it may be None. weights: float [K] of the K
        styles that the frame is in, for a discriminator with a logit for each.
        """
        # Some take images of one size only.
        size = (self._square,) * 2 if self._square else _judged_size(frame, self._side)
        pictures = [frame]
        if self.conditional:
            if content is None:
                raise ValueError("this discriminator judges a frame beside its content")
            pictures = [content, frame]
        logits = self._logits(*(_resized(picture, size) for picture in pictures))
        return float(logits[0] if len(logits) == 1 else logits @ weights)


def poor_outliers(scores: Sequence[float]) -> np.ndarray:
    """Which scores are outliers on the poor side: bool [N].

    Those below median - 3 * 1.4826 * MAD (three standard deviations, were they normal; outliers
    themselves hardly move either), and of these no more than the lowest 5 % of all.
    """
    values = np.asarray(scores, np.float64)
    if not values.size:
        return np.zeros(0, bool)
    median = np.median(values)
    spread = _DEVIATIONS_PER_MAD * np.median(np.abs(values - median))
    lowest = np.argsort(values, kind="stable")[: int(np.ceil(_MOST_FLAGGED * values.size))]
    flagged = np.zeros(values.size, bool)
    flagged[lowest] = values[lowest] < median - _OUTLIER * max(spread, _EVEN)
    return flagged


def _trained_side(metadata: dict[str, Any]) -> float:
    """The shorter side, in pixels, of frames at the scale at which their crops were trained on."""
    config = metadata.get("config") or {}
    low, high = (config.get("data") or {}).get("crop_scale") or (1.0, 1.0)
    return config.get("image_size", _DEFAULT_SIDE) * 2 / (low + high)


def _judged_size(frame: np.ndarray, side: float) -> tuple[int, int]:
    """(width, height) at which a frame is judged."""
    height, width = frame.shape[:2]
    scale = min(1.0, side / min(height, width))

    def rounded(length: int) -> int:
        return max(_SMALLEST, round(length * scale / _GRID) * _GRID)

    return rounded(width), rounded(height)


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
