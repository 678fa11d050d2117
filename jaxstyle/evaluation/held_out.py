"""Held-out scenes: what photo data cannot offer, the true stylized frame to compare with."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.data.scenes import Scenes
from jaxstyle.evaluation.ssim import ssim
from jaxstyle.evaluation.swd import sliced_wasserstein

# Far from the seeds that recipes train on.
FIRST_SEED = 1_000_000


def held_out_scenes(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (photos, cels) of the same scenes, uint8 [count, size, size, 3] each."""
    photos, cels = (
        Scenes(rendering, count, (size, size), first_seed=FIRST_SEED)
        for rendering in ("photo", "cel")
    )
    return np.stack(list(photos)), np.stack(list(cels))


def compare_with_truth(
    photos: np.ndarray, outputs: np.ndarray, cels: np.ndarray
) -> dict[str, float]:
    """How much closer than the photos the outputs are to the cel frames of the same scenes.

    All uint8 [N, H, W, 3]. Returns for the outputs ("ssim", "swd") and for the photos
    ("ssim_input", "swd_input") the mean SSIM to the true cel frame, and the sliced Wasserstein
    distance of the set to the set of cel frames. Both sets show the same scenes, so a generator
    that draws as the cel renderer does is at distance 0.
    """
    photos, outputs, cels = (
        jnp.asarray(frames, jnp.float32) / 255 for frames in (photos, outputs, cels)
    )
    key = jax.random.key(0)
    return {
        "ssim": float(ssim(outputs, cels).mean()),
        "ssim_input": float(ssim(photos, cels).mean()),
        "swd": float(sliced_wasserstein(outputs, cels, key)["swd/mean"]),
        "swd_input": float(sliced_wasserstein(photos, cels, key)["swd/mean"]),
    }
