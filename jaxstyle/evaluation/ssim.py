"""Structural similarity (SSIM) between pairs of images.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004.
"""

import jax
import jax.numpy as jnp
import numpy as np

WINDOW_SIZE = 11
WINDOW_SIGMA = 1.5
K1, K2 = 0.01, 0.03


def _gaussian_window() -> np.ndarray:
    offsets = np.arange(WINDOW_SIZE) - WINDOW_SIZE // 2
    weights = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    return weights / weights.sum()


def _windowed_mean(x: jax.Array) -> jax.Array:
    """Gaussian-weighted mean over every window that fits: [..., H, W, C] -> [..., H-10, W-10, C].

    Shifted multiply-adds rather than a depthwise convolution, which XLA runs ~20x slower on CPUs.
    """
    weights = _gaussian_window()
    for axis in (-3, -2):
        valid = x.shape[axis] - WINDOW_SIZE + 1
        first, *others = (
            float(weight) * jax.lax.slice_in_dim(x, k, k + valid, axis=axis)
            for k, weight in enumerate(weights)
        )
        x = sum(others, first)
    return x


def similarity_maps(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two factors of SSIM at every window that lies wholly inside the image.

    Args:
      a: [N, H, W, C] float32 in [0, 1], H and W at least 11.
      b: the same shape, dtype and range.

    Returns:
      (luminance, contrast_structure), [N, H-10, W-10, C] float32 each: equation 6 of the paper, in
      (0, 1], and equations 9 and 10 multiplied, in [-1, 1].
    """
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = _windowed_mean(
        jnp.stack([a, b, a * a, b * b, a * b])
    )
    # Rounding can push a variance of zero slightly below it.
    variance_a = jnp.maximum(mean_aa - mean_a**2, 0.0)
    variance_b = jnp.maximum(mean_bb - mean_b**2, 0.0)
    covariance = mean_ab - mean_a * mean_b

    c1, c2 = K1**2, K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return luminance, contrast_structure


@jax.jit
def ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean SSIM per image; 1 for identical images, symmetric in `a` and `b`.

    The constants of the paper: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, a
    dynamic range of 1. Only windows that lie wholly inside the image count. Each RGB channel is
    compared on its own; the result is the mean over positions and channels.

    Args:
      a: [N, H, W, C] float32 in [0, 1], H and W at least 11.
      b: the same shape, dtype and range.

    Returns:
      [N] float32 in [-1, 1].

    Raises:
      ValueError: the shapes differ, or an image is smaller than the window.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"ssim needs two equal [N, H, W, C] shapes, got {a.shape} and {b.shape}")
    if min(a.shape[1:3]) < WINDOW_SIZE:
        raise ValueError(f"ssim needs images of at least {WINDOW_SIZE} pixels, got {a.shape}")

    luminance, contrast_structure = similarity_maps(a, b)
    return jnp.mean(luminance * contrast_structure, axis=(1, 2, 3))
