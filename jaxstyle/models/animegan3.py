"""AnimeGANv3 (Liu, Chen & Gao 2024): its generator, the tails of it, and its discriminators.

The published generator has a base and two equal tails. The *support* tail learns a style from the
discriminator; the *main* tail learns to paint a smoothed version of what the support tail paints,
and it alone ships. Here the generator is the base with the main tail, and its features are all
that a support tail, a module of its own, needs.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.layers import (
    DownConv,
    GeneratorOutput,
    instance_norm,
    reflect_pad,
    upsample_bilinear,
)

_XAVIER = nn.initializers.glorot_uniform()
_EPSILON = 1e-5


def _leaky(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, 0.2)


@jax.jit
def lade(x: jax.Array, target: jax.Array) -> jax.Array:
    """Linearly adaptive denormalisation: x with the mean and the variance of `target`.

    x, target: [N, H, W, C]. Each channel of x is normalised over H and W, multiplied by
    sqrt(variance + 1e-5) of the target's channel and shifted to its mean. The target is a 1x1
    convolution of x, so the statistics that are restored are a linear map of those removed.
    Statistics in float32; returns the dtype of x.
    """
    target = target.astype(jnp.float32)
    mean = target.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(target - mean).mean(axis=(1, 2), keepdims=True)
    normalised = instance_norm(x, _EPSILON).astype(jnp.float32)
    return (normalised * jnp.sqrt(variance + _EPSILON) + mean).astype(x.dtype)


class ConvLade(nn.Module):
    """Reflection-padded convolution, `lade`, leaky ReLU 0.2; neither convolution has a bias.

    With `down` of stride 2, padded at the top and the left only, as published. `spectral_norm`
    (Miyato et al. 2018) is that of the discriminators and covers both convolutions.
    """

    features: int
    kernel_size: int = 3
    down: bool = False
    spectral_norm: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        options: dict[str, Any] = {"use_bias": False, "kernel_init": _XAVIER, "dtype": self.dtype}

        def apply(layer, y):
            if not self.spectral_norm:
                return layer(y)
            return nn.SpectralNorm(layer, name=f"{layer.name}_sn")(y, update_stats=update_stats)

        if self.down:
            x = reflect_pad(x, 1, 0, 1, 0, gathered=True)
            x = apply(DownConv(self.features, self.kernel_size, name="conv", **options), x)
        else:
            k = self.kernel_size
            x = reflect_pad(x, k // 2, gathered=True)
            x = apply(
                nn.Conv(self.features, (k, k), padding="VALID", name="conv", **options),
                x,
            )
        target = apply(nn.Conv(self.features, (1, 1), name="lade", **options), x)
        return _leaky(lade(x, target))


class ExternalAttention(nn.Module):
    """External attention (Guo et al. 2021) as AnimeGANv3 has it: every pixel consults one memory.

    A 1x1 convolution; the similarity of each pixel to `units` learnt vectors, normalised twice: a
    softmax over the pixels of the image, then the share of each unit in a pixel's sum; the same
    vectors weighted by it; a 1x1 convolution, a norm; added to x, leaky ReLU 0.2.

    The published norm is a batch norm. Here its statistics are each image's own, as those of all
    other norms of the network are: training and inference agree, and images do not mix.

    x: float [N, H, W, C]. Returns the same shape.
    """

    units: int = 128
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        conv = functools.partial(
            nn.Conv, c, (1, 1), use_bias=False, kernel_init=_XAVIER, dtype=self.dtype
        )
        memory = self.param("memory", _XAVIER, (c, self.units)).astype(self.dtype)
        similarity = jnp.einsum("nhwc,ck->nhwk", conv(name="query")(x), memory)
        # Each weight is one of H*W that sum to 1: too small for the sums of half precision.
        attention = nn.softmax(similarity.astype(jnp.float32), axis=(1, 2))
        attention = attention / (1e-9 + attention.sum(axis=-1, keepdims=True))
        y = jnp.einsum("nhwk,ck->nhwc", attention.astype(self.dtype), memory)
        y = instance_norm(conv(name="project")(y), 1e-3)
        scale = self.param("scale", nn.initializers.ones, (c,)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (c,)).astype(self.dtype)
        return _leaky(x + y * scale.reshape(1, 1, 1, c) + bias.reshape(1, 1, 1, c))


class AnimeGan3Tail(nn.Module):
    """One of AnimeGANv3's tails: from the base's four feature maps to the image.

    features: (x0, x1, x2, x3), float [N, H, W, 32], [N, H/2, W/2, 64], [N, H/4, W/4, 128] and
    [N, H/8, W/8, 128]. Returns float32 [N, H, W, 3] in (-1, 1).

    It is bilinear upsampling with aligned pixel centres; the published graph's lies a quarter of
    a pixel beside that at each level, so its weights would paint a slightly shifted image here.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, features: tuple[jax.Array, ...]) -> jax.Array:
        *skips, y = (f.astype(self.dtype) for f in features)
        y = ExternalAttention(dtype=self.dtype, name="attention")(y)
        for i, skip in reversed(list(enumerate(skips))):
            width = skip.shape[-1]
            y = ConvLade(width, dtype=self.dtype, name=f"up{i}")(upsample_bilinear(y))
            y = ConvLade(width, dtype=self.dtype, name=f"merge{i}")(y + skip)
        y = nn.Conv(
            3,
            (7, 7),
            padding="VALID",
            use_bias=False,
            kernel_init=_XAVIER,
            dtype=self.dtype,
            name="out",
        )(reflect_pad(y, 3, gathered=True))
        return jnp.tanh(y.astype(jnp.float32))


class AnimeGan3(nn.Module):
    """AnimeGANv3's generator as it ships, the base and the main tail: 1,027,520 parameters.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. Returns float32 of the same
    shape in (-1, 1). With `return_features` also the base's four feature maps, shallow to deep:
    what a second `AnimeGan3Tail` takes.
    """

    dtype: DTypeLike = jnp.float32

    stride = 8

    @nn.compact
    def __call__(self, x: jax.Array, return_features: bool = False) -> GeneratorOutput:
        def conv(name, y, features, kernel_size=3, down=False):
            return ConvLade(features, kernel_size, down, dtype=self.dtype, name=name)(y)

        x0 = conv("x0", x.astype(self.dtype), 32, kernel_size=7)
        x1 = conv("x1", conv("x1_down", x0, 32, down=True), 64)
        x2 = conv("x2", conv("x2_down", x1, 64, down=True), 128)
        x3 = conv("x3", conv("x3_down", x2, 128, down=True), 128)
        features = (x0, x1, x2, x3)
        output = AnimeGan3Tail(dtype=self.dtype, name="main")(features)
        return (output, features) if return_features else output


class AnimeGan3Discriminator(nn.Module):
    """AnimeGANv3's discriminator, one for each tail: 693,088 parameters for colour images.

    x: float [N, H, W, C] in [-1, 1] with any C: the support tail's sees grey images, of one
    channel or three equal ones; H and W multiples of 8. Returns logits, float32
    [N, H/8, W/8, 1]. The estimates of the spectral norms live in the collection 'batch_stats' and
    move only with `update_stats`.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        def plain_conv(name, y, features, k):
            layer = nn.Conv(
                features,
                (k, k),
                padding="VALID",
                use_bias=False,
                kernel_init=_XAVIER,
                dtype=self.dtype,
                name=name,
            )
            y = reflect_pad(y, k // 2, gathered=True) if k > 1 else y
            return nn.SpectralNorm(layer, name=f"{name}_sn")(y, update_stats=update_stats)

        def conv_lade(name, y, features, down=False):
            layer = ConvLade(features, 3, down, spectral_norm=True, dtype=self.dtype, name=name)
            return layer(y, update_stats)

        y = _leaky(plain_conv("stem", x.astype(self.dtype), 32, k=7))
        for width in (32, 64, 128):
            y = conv_lade(f"down{width}", y, width, down=True)
            y = conv_lade(f"widen{width}", y, 2 * width)
        return plain_conv("logits", y, 1, k=1).astype(jnp.float32)
