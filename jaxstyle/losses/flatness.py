"""Flats stay flat: no texture where the input has none."""

import jax
import jax.numpy as jnp

from jaxstyle.losses.smoothing import box_mean

# Of the window, 5x5 pixels, whose mean gradient says whether a pixel lies in a flat region.
_RADIUS = 2


def flatness_loss(output: jax.Array, reference: jax.Array, scale: float = 0.03) -> jax.Array:
    """Gradients of the output, weighted by exp(-g / `scale`), g being the reference's nearby.

    The edge-aware smoothness of Godard et al. (2017, "Unsupervised monocular depth estimation with
    left-right consistency"), with the mean gradient of 5x5 pixels in place of a pixel's own, so
    that the two sides of a line and the grain on it count as edges, too. A gradient is the sum of
    the absolute differences to the pixel below and to the one on the right; the reference's is
    averaged over channels.

    output, reference: float32 [N, H, W, C], in [-1, 1]. Returns a float32 scalar, the mean over
    pixels and channels. No gradient flows to the reference.
    """
    nearby = box_mean(_gradients(reference).mean(axis=-1, keepdims=True), _RADIUS)
    weight = jax.lax.stop_gradient(jnp.exp(-nearby / scale))
    return (_gradients(output) * weight).mean()


def _gradients(x: jax.Array) -> jax.Array:
    """[N, H, W, C] -> [N, H - 1, W - 1, C]."""
    here = x[:, :-1, :-1]
    return jnp.abs(x[:, 1:, :-1] - here) + jnp.abs(x[:, :-1, 1:] - here)
