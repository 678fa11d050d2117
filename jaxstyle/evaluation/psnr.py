"""Peak signal-to-noise ratio (PSNR) between pairs of images."""

import jax
import jax.numpy as jnp

# So that no infinity reaches a table. One grey level off everywhere is 48 dB.
HIGHEST_PSNR = 100.0


@jax.jit
def psnr(a: jax.Array, b: jax.Array) -> jax.Array:
    """PSNR per image in dB: -10 log10 of the mean squared error over all pixels and channels.

    The peak is 1. Identical images, whose PSNR is infinite, get 100 dB, and so does every pair with
    a mean squared error below 1e-10.

    Args:
      a: [N, H, W, C] float32 in [0, 1].
      b: the same shape, dtype and range.

    Returns:
      [N] float32 in [0, 100].

    Raises:
      ValueError: the shapes differ.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"psnr needs two equal [N, H, W, C] shapes, got {a.shape} and {b.shape}")
    mean_squared_error = jnp.mean(jnp.square(a - b), axis=(1, 2, 3))
    return -10 * jnp.log10(jnp.maximum(mean_squared_error, 10 ** (-HIGHEST_PSNR / 10)))
