"""Perceptual losses: distances between feature maps of a pretrained network.

All take feature maps float32 [N, h, w, C], such as `features.FeatureNetwork.apply` returns, and
give a float32 scalar unless they say otherwise.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def content_l1(features: jax.Array, reference: jax.Array) -> jax.Array:
    """Mean absolute difference: AnimeGAN's content loss, at VGG-19's conv4_4 (Chen et al. 2020)."""
    return jnp.abs(features - reference).mean()


def content_l2(features: jax.Array, reference: jax.Array) -> jax.Array:
    """Mean squared difference: the feature reconstruction loss of Johnson et al. (2016)."""
    return jnp.square(features - reference).mean()


def gram_matrix(features: jax.Array) -> jax.Array:
    """Products of channels, summed over positions and divided by C h w (Johnson et al. 2016).

    Returns float32 [N, C, C], symmetric: which features occur together, wherever. (Gatys et al.
    2015 leave the sum as it is, so that their figures grow with the image.)
    """
    _, h, w, c = features.shape
    return jnp.einsum("nhwc,nhwd->ncd", features, features) / (c * h * w)


def gram_l1(features: jax.Array, style: jax.Array) -> jax.Array:
    """Mean absolute difference of Gram matrices, AnimeGAN's style loss (Chen et al. 2020).

    The two may differ in height and width. `style` may have one image for all of `features`.
    """
    difference = gram_matrix(features) - gram_matrix(style)
    return jnp.abs(difference).mean()


def relative_gram_l1(features: jax.Array, style: jax.Array) -> jax.Array:
    """Mean absolute difference of the batches' Gram matrices, relative to the style's.

    The Gram matrix of a batch is the mean of its images' (Gatys et al. 2015, of one image): what
    the pictures of the style have on the whole, which none of them need have alone. The difference
    is divided by the mean magnitude of the style's, so that layers count alike, whatever the scale
    of their activations.

    features, style: `gram_matrix` of each, float32 [N, C, C] and [M, C, C]. No gradient flows
    through the magnitude.
    """
    wanted = style.mean(axis=0)
    magnitude = jax.lax.stop_gradient(jnp.abs(wanted).mean())
    return jnp.abs(features.mean(axis=0) - wanted).mean() / (magnitude + 1e-12)


def statistics_loss(features: jax.Array, style: jax.Array) -> jax.Array:
    """AdaIN's style loss: squared differences of channel means and deviations (Huang & Belongie).

    Mean over images and channels, the two added; 2017, "Arbitrary Style Transfer in Real-time with
    Adaptive Instance Normalization". Heights and widths may differ, `style` may be one image.
    """
    mean, deviation = _mean_and_deviation(features)
    style_mean, style_deviation = _mean_and_deviation(style)
    return jnp.square(mean - style_mean).mean() + jnp.square(deviation - style_deviation).mean()


def lpips(
    features: Sequence[jax.Array], reference: Sequence[jax.Array], heads: Sequence[jax.Array]
) -> jax.Array:
    """LPIPS, the learned perceptual distance of images (Zhang et al. 2018), float32 [N].

    features, reference: the maps of the same layers, `features.LPIPS_LAYERS`, of two batches.
    heads: float32 [C] weights of each layer's channels, as `features.load_lpips_heads` returns.
    Vectors at each position are scaled to unit length; squared differences are weighted by channel,
    summed, averaged over positions and added over layers. 0 for the same image; symmetric.
    """
    first, *others = (
        jnp.einsum("nhwc,c->nhw", jnp.square(_unit_length(a) - _unit_length(b)), head).mean((1, 2))
        for a, b, head in zip(features, reference, heads, strict=True)
    )
    return sum(others, first)


def _mean_and_deviation(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of each channel of each image, [N, 1, 1, C] both."""
    mean = features.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(features - mean).mean(axis=(1, 2), keepdims=True)
    # The root of 0, of a channel that is off, has an infinite gradient.
    return mean, jnp.sqrt(variance + 1e-5)


def _unit_length(features: jax.Array) -> jax.Array:
    # The published metric adds 1e-10 to the norm; inside the root the gradient at 0 is finite.
    return features / jnp.sqrt(jnp.square(features).sum(axis=-1, keepdims=True) + 1e-10)
