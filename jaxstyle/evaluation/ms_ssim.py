"""Multi-scale structural similarity (MS-SSIM) between pairs of images.

Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity for image quality
assessment", Asilomar Conference on Signals, Systems and Computers, 2003.
"""

import jax
import jax.numpy as jnp

from jaxstyle.evaluation.ssim import WINDOW_SIZE, similarity_maps
from jaxstyle.losses.color import rgb_to_grey

# From the finest scale to the coarsest.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def scale_count(height: int, width: int) -> int:
    """How many scales an image has: five from 176 pixels on, none below the window's 11.

    Each scale halves the shorter side, rounding down, and the coarsest must hold a whole window.
    """
    fitting = (min(height, width) // WINDOW_SIZE).bit_length()
    return min(fitting, len(SCALE_WEIGHTS))


def _halve(x: jax.Array) -> jax.Array:
    """Mean of 2x2 pixels: [N, H, W, C] -> [N, H//2, W//2, C]; an odd last row or column is cut."""
    for axis in (1, 2):
        even = x.shape[axis] // 2 * 2
        first, second = (
            jax.lax.slice_in_dim(x, start, even, stride=2, axis=axis) for start in (0, 1)
        )
        x = (first + second) / 2
    return x


@jax.jit
def ms_ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """MS-SSIM per image, of the BT.601 luma; 1 for identical images, symmetric in `a` and `b`.

    Contrast and structure are compared at every scale and luminance at the coarsest; the mean of
    each scale's map is raised to that scale's weight, and the scales multiplied. The mean comes
    before the power, as in the authors' implementation. A mean that is negative, where one image
    inverts the other, has no real power: it is taken as 0, and so is the result.

    An image whose shorter side is below 176 pixels lacks the coarsest scales. It is compared at
    those that it has (see `scale_count`), their weights divided by their sum; such a figure should
    be compared only with figures of the same number of scales.

    Args:
      a: [N, H, W, 3] float32 RGB in [0, 1], H and W at least 11.
      b: the same shape, dtype and range.

    Returns:
      [N] float32 in [0, 1].

    Raises:
      ValueError: the shapes differ or are not of RGB, or an image is smaller than the window.
    """
    if a.shape != b.shape or a.ndim != 4 or a.shape[-1] != 3:
        raise ValueError(
            f"ms_ssim needs two equal [N, H, W, 3] shapes, got {a.shape} and {b.shape}"
        )
    count = scale_count(*a.shape[1:3])
    if count == 0:
        raise ValueError(f"ms_ssim needs images of at least {WINDOW_SIZE} pixels, got {a.shape}")

    # Accelerators multiply matrices in reduced precision unless told otherwise.
    with jax.default_matmul_precision("highest"):
        a, b = rgb_to_grey(a), rgb_to_grey(b)
    weights = SCALE_WEIGHTS[:count]
    result = jnp.ones(a.shape[0], a.dtype)
    for scale, weight in enumerate(weights, start=1):
        luminance, contrast_structure = similarity_maps(a, b)
        similarity = luminance * contrast_structure if scale == count else contrast_structure
        mean = jnp.maximum(jnp.mean(similarity, axis=(1, 2, 3)), 0.0)
        result *= mean ** (weight / sum(weights))
        a, b = _halve(a), _halve(b)
    return result
