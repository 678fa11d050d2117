"""AnimeGANv2 (Chen, Liu & Chen 2020): its generator and its discriminator."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.convolutions import conv_few_images_back
from jaxstyle.models.layers import (
    HE,
    DepthwiseConv3x3,
    DownConv,
    FrameNorm,
    GeneratorOutput,
    reflect_pad,
    upsample_bilinear,
    upsample_bilinear_aligned,
)


def _leaky(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, 0.2)


class ConvNormLeaky(nn.Module):
    """Reflection-padded convolution without bias, `FrameNorm`, leaky ReLU 0.2."""

    features: int
    kernel_size: int = 3
    down: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.down:
            # Only the bottom and the right are padded, as the published weights expect.
            x = reflect_pad(x, 0, 1, 0, 1, gathered=True)
            x = DownConv(self.features, 3, use_bias=False, dtype=self.dtype, name="conv")(x)
        else:
            k = self.kernel_size
            x = reflect_pad(x, k // 2, gathered=True) if k > 1 else x
            x = nn.Conv(
                self.features,
                (k, k),
                padding="VALID",
                use_bias=False,
                kernel_init=HE,
                dtype=self.dtype,
                name="conv",
            )(x)
        return _leaky(FrameNorm(name="norm")(x))


class InvertedResidual(nn.Module):
    """1x1 to twice the channels, depthwise 3x3, 1x1 to 256; added to x where the shapes match."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = ConvNormLeaky(2 * x.shape[-1], 1, dtype=self.dtype, name="expand")(x)
        y = DepthwiseConv3x3(dtype=self.dtype, name="depthwise")(reflect_pad(y, 1, gathered=True))
        y = _leaky(FrameNorm(name="depthwise_norm")(y))
        y = nn.Conv(256, (1, 1), use_bias=False, kernel_init=HE, dtype=self.dtype, name="project")(
            y
        )
        y = FrameNorm(name="project_norm")(y)
        return x + y if x.shape == y.shape else y


class AnimeGan2(nn.Module):
    """AnimeGANv2's generator: 2,143,552 parameters.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. Returns float32 of the same
    shape in (-1, 1). With `return_features` also a tuple of feature maps, shallow to deep.

    align_corners: upsamples so that corner pixels keep their place, as the PyTorch port of the
    published weights does unless it is told otherwise; else pixel centres are aligned.
    """

    align_corners: bool = False
    dtype: DTypeLike = jnp.float32

    stride = 4

    @nn.compact
    def __call__(self, x: jax.Array, return_features: bool = False) -> GeneratorOutput:
        def conv(name, y, features, kernel_size=3, down=False):
            return ConvNormLeaky(features, kernel_size, down, self.dtype, name=name)(y)

        upsample = upsample_bilinear_aligned if self.align_corners else upsample_bilinear
        y = x.astype(self.dtype)
        features = [y]
        y = conv("a0", y, 32, kernel_size=7)
        y = conv("a1", y, 64, down=True)
        y = conv("a2", y, 64)
        features.append(y)
        y = conv("b0", y, 128, down=True)
        y = conv("b1", y, 128)
        features.append(y)
        y = conv("c0", y, 128)
        for i in range(4):
            y = InvertedResidual(dtype=self.dtype, name=f"c{i + 1}")(y)
            features.append(y)
        y = conv("c5", y, 128)
        y = conv("d0", upsample(y), 128)
        y = conv("d1", y, 128)
        y = conv("e0", upsample(y), 64)
        y = conv("e1", y, 64)
        y = conv("e2", y, 32, kernel_size=7)
        y = nn.Conv(3, (1, 1), use_bias=False, kernel_init=HE, dtype=self.dtype, name="out")(y)
        output = jnp.tanh(y.astype(jnp.float32))
        return (output, tuple(features)) if return_features else output


class AnimeGan2Discriminator(nn.Module):
    """AnimeGANv2's discriminator: 1.13 M parameters, spectral norm throughout.

    x: float [N, H, W, 3] in [-1, 1]. Returns logits, float32 [N, H/4, W/4, 1]. The estimates of
    the spectral norms (Miyato et al. 2018) live in the collection 'batch_stats' and move only
    with `update_stats`.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        options: dict[str, Any] = {
            "use_bias": False,
            "kernel_init": nn.initializers.normal(0.02),
            "dtype": self.dtype,
        }

        def conv(name, y, features, down=False):
            if down:
                y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
                layer: nn.Module = DownConv(features, 3, name=name, **options)
            else:
                layer = nn.Conv(
                    features,
                    (3, 3),
                    conv_general_dilated=conv_few_images_back,
                    name=name,
                    **options,
                )
            return nn.SpectralNorm(layer, name=f"{name}_sn")(y, update_stats=update_stats)

        y = _leaky(conv("conv0", x.astype(self.dtype), 32))
        y = _leaky(conv("conv1", y, 64, down=True))
        y = _leaky(FrameNorm(name="norm2")(conv("conv2", y, 128)))
        y = _leaky(conv("conv3", y, 128, down=True))
        y = _leaky(FrameNorm(name="norm4")(conv("conv4", y, 256)))
        y = _leaky(FrameNorm(name="norm5")(conv("conv5", y, 256)))
        return conv("conv6", y, 1).astype(jnp.float32)
