"""Held-out scenes: what photo data cannot offer, the true stylized frame to compare with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.data.scenes import Scenes
from jaxstyle.evaluation.ssim import ssim
from jaxstyle.evaluation.swd import sliced_wasserstein

# Far from the seeds that recipes train on.
FIRST_SEED = 1_000_000
_BATCH = 8


def compare_with_truth(
    stylize: Callable[[np.ndarray], np.ndarray], count: int, size: int
) -> dict[str, float]:
    """Stylizes photo renderings of held-out scenes and compares with their cel renderings.

    stylize: uint8 [n, size, size, 3] -> uint8 of the same shape. Returns for the output
    ("ssim", "swd") and for the unstylized input ("ssim_input", "swd_input") the mean SSIM to the
    true cel frame, and the sliced Wasserstein distance of the set to the set of cel frames. Both
    sets show the same scenes, so a generator that draws as the cel renderer does is at distance 0.
    """
    photos, cels = (
        np.stack([source[i] for i in range(count)])
        for source in (
            Scenes(rendering, count, (size, size), first_seed=FIRST_SEED)
            for rendering in ("photo", "cel")
        )
    )
    outputs = np.concatenate([stylize(photos[i : i + _BATCH]) for i in range(0, count, _BATCH)])
    photos, cels, outputs = (
        jnp.asarray(frames, jnp.float32) / 255 for frames in (photos, cels, outputs)
    )
    key = jax.random.key(0)
    return {
        "ssim": float(ssim(outputs, cels).mean()),
        "ssim_input": float(ssim(photos, cels).mean()),
        "swd": float(sliced_wasserstein(outputs, cels, key)["swd/mean"]),
        "swd_input": float(sliced_wasserstein(photos, cels, key)["swd/mean"]),
    }
