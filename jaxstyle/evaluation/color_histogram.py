"""Distance between the colours of two image sets, wherever in the images they are.

The colours of a set are its joint histogram in CIE L*a*b*, where equal distances look about equally
different. Two histograms p and q are compared by the Hellinger distance, sqrt(1 - BC) with the
Bhattacharyya coefficient BC = sum(sqrt(p q)), as D. Comaniciu, V. Ramesh, P. Meer, "Kernel-based
object tracking", IEEE Transactions on Pattern Analysis and Machine Intelligence 25(5), 2003,
compare histograms of colour.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.losses.color import rgb_to_lab

# Bins are centred on multiples of this, in L*a*b* units: a bin of black, one of white and the greys
# between, rather than greys that fall on the edge of two bins. They cover sRGB: L from 0 to 100,
# a from -86 to 98, b from -108 to 94.
BIN_SPACING = 20.0
BIN_CENTRES = tuple(
    np.arange(low, high + 1, BIN_SPACING, dtype=np.float32)
    for low, high in ((0, 100), (-100, 100), (-120, 100))
)


def _shares(values: jax.Array, centres: np.ndarray) -> jax.Array:
    """How much of each value falls in each bin, [P] -> [P, bins]: its two nearest share it."""
    return jnp.maximum(1 - jnp.abs(values[:, None] - centres[None, :]) / BIN_SPACING, 0.0)


def _image_histogram(image: jax.Array) -> jax.Array:
    """[H, W, 3] RGB in [0, 1] -> the share of pixels in each bin, [6, 11, 12]."""
    lightness, a, b = rgb_to_lab(jnp.clip(image, 0.0, 1.0)).reshape(-1, 3).T
    shares = [
        _shares(x, centres) for x, centres in zip((lightness, a, b), BIN_CENTRES, strict=True)
    ]
    return jnp.einsum("pi,pj,pk->ijk", *shares) / lightness.size


def color_histogram(images: jax.Array) -> jax.Array:
    """The joint histogram of the colours of a set of images.

    A pixel is shared out between the up to eight bins around it by linear interpolation, so that a
    small change of colour is a small change of the histogram.

    Args:
      images: [N, H, W, 3] float32 RGB in [0, 1].

    Returns:
      [6, 11, 12] float32, the share of the set's pixels in each bin of L*, a* and b*. Sums to 1.
    """
    # Accelerators multiply matrices in reduced precision unless told otherwise.
    with jax.default_matmul_precision("highest"):
        # Image by image: all shares of a whole set would take some thirty times its memory.
        histograms = jax.lax.map(_image_histogram, images)
    return histograms.mean(axis=0)


@jax.jit
def color_histogram_distance(frames: jax.Array, reference: jax.Array) -> jax.Array:
    """Hellinger distance between the colours of `frames` and those of the set `reference`.

    0 where both sets show the same colours in the same shares, 1 where they have no colour in
    common. Blind to where the colours are. Symmetric. Between two samples of one distribution it is
    above 0, and that is the noise floor to compare a figure with.

    Args:
      frames: [N, H, W, 3] float32 RGB in [0, 1].
      reference: [M, H', W', 3], the same dtype and range; number and size may differ.

    Returns:
      A float32 scalar in [0, 1].

    Raises:
      ValueError: a set has no pixels, or is not of RGB.
    """
    for images in (frames, reference):
        if images.ndim != 4 or images.shape[-1] != 3 or images.size == 0:
            raise ValueError(
                f"color_histogram_distance needs [N, H, W, 3] sets, got {images.shape}"
            )
    p, q = color_histogram(frames), color_histogram(reference)
    # The same as sqrt(1 - BC), but exactly 0 for equal histograms.
    return jnp.sqrt(jnp.sum(jnp.square(jnp.sqrt(p) - jnp.sqrt(q))) / 2)
