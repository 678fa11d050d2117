"""Losses for aligned pairs: each output has a target of its own."""

import jax
import jax.numpy as jnp

from jaxstyle.losses.smoothing import box_mean


def gradient_l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """L1 distance of the differences of neighbouring pixels: vertical plus horizontal, means.

    a, b: float32 [N, H, W, C]. A constant offset costs nothing, a line that is missing or blurred
    does; beside the L1 of the pixels it sharpens (Mathieu et al. 2016, "Deep multi-scale video
    prediction", compare the magnitudes of the differences). Returns a scalar.
    """
    difference = a - b
    vertical = jnp.abs(difference[:, 1:] - difference[:, :-1]).mean()
    horizontal = jnp.abs(difference[:, :, 1:] - difference[:, :, :-1]).mean()
    return vertical + horizontal


def blurred_l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """L1 distance of the means of 3x3 pixels: what differs in the finest detail alone is free.

    a, b: float32 [N, H, W, C]. Returns a scalar.
    """
    return jnp.abs(box_mean(a - b, radius=1)).mean()
