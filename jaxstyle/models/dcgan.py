"""DCGAN: a latent vector to a small image, all by 4x4 convolutions (Radford et al. 2016).

In the form common for CIFAR-10 at 32x32; every doubling of the size adds a layer to both networks.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.layers import BatchNorm, DownConv, Initializer, pixel_shuffle

_WEIGHTS = nn.initializers.normal(0.02)


def doublings(image_size: int, smallest: int = 8) -> int:
    """How often 4 pixels double until they are `image_size`.

    Raises `ValueError` unless that is a power of two, at least `smallest`, itself 4 or more.
    """
    if image_size < smallest or image_size.bit_count() != 1:
        raise ValueError(
            f"image_size is {image_size}; it must be a power of two, {smallest} or more"
        )
    return image_size.bit_length() - 3


def transposed_conv_4x4(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A transposed 4x4 convolution of stride 2, one pixel cropped on each side.

    y[2i + a - 1, 2j + b - 1] += x[i, j] @ kernel[a, b] over all i, j, a, b:
    x [N, H, W, C], kernel [4, 4, C, features] -> [N, 2H, 2W, features], in the dtype of both.

    Computed in sub-pixel form (Shi et al. 2016): two neighbours along each axis determine the two
    outputs between their centres, so a dense 2x2 convolution gives every 2x2 tile of outputs with
    no more arithmetic. XLA computes dilated convolutions, which the definition amounts to, by a
    naive loop on CPU.
    """
    c, features = kernel.shape[2:]
    # Along each axis, tap 2q + p of the kernel leads from the neighbour 1 - q to the output p.
    tiles = kernel.reshape(2, 2, 2, 2, c, features)[::-1, :, ::-1]
    tiles = tiles.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c, 4 * features)
    # Padded here, not by the convolution: the gradient of such a one is a naive loop, too.
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = lax.conv_general_dilated(
        x, tiles, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return pixel_shuffle(y, 2)[:, 1:-1, 1:-1]


class TransposedConv4x4(nn.Module):
    """`transposed_conv_4x4` with its kernel [4, 4, C, features]; no bias."""

    features: int
    kernel_init: Initializer = _WEIGHTS
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (4, 4, x.shape[-1], self.features))
        return transposed_conv_4x4(x.astype(self.dtype), kernel.astype(self.dtype))


def _gain_init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """N(1, 0.02), of the batch norms' gains."""
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


class DcganGenerator(nn.Module):
    """A projection to 4x4, transposed convolutions up to `image_size`, tanh.

    `image_size` is a power of two from 8 on; the last layer but one has `width` channels, each
    before it twice as many as the next. Batch norm and ReLU follow all layers but the last.
    Initial weights are N(0, 0.02), gains N(1, 0.02).

    z: float32 [N, latent], N(0, 1). Returns images, float32 [N, S, S, 3] in [-1, 1]. How the
    statistics of the batch are stored and used again: see `layers.BatchNorm`.
    """

    latent: int = 100
    width: int = 64
    image_size: int = 32
    dtype: DTypeLike = jnp.float32

    takes = "noise"
    couples_images = True

    def __post_init__(self):
        doublings(self.image_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        count = doublings(self.image_size)

        def norm_relu(y, name):
            return nn.relu(BatchNorm(scale_init=_gain_init, name=name)(y))

        features = self.width << (count - 1)
        y = nn.Dense(
            16 * features, use_bias=False, kernel_init=_WEIGHTS, dtype=self.dtype, name="project"
        )(z)
        y = norm_relu(y.reshape(-1, 4, 4, features), "project_norm")
        for i in range(1, count):
            features //= 2
            y = TransposedConv4x4(features, dtype=self.dtype, name=f"up{i}")(y)
            y = norm_relu(y, f"up{i}_norm")
        y = TransposedConv4x4(3, dtype=self.dtype, name="out")(y)
        return jnp.tanh(y.astype(jnp.float32))


class DcganDiscriminator(nn.Module):
    """4x4 convolutions of stride 2 down to 4x4, then one to a logit per image.

    `width` channels in the first layer, then twice as many in each. LeakyReLU 0.2 after all but the
    last, batch norm after all but the first and the last, always with the statistics of the batch:
    real and generated images should come in batches of their own.

    x: float [N, image_size, image_size, 3] in [-1, 1]. Returns logits, float32 [N, 1, 1, 1].
    `update_stats` changes nothing: there are no estimates to move. Raises `ValueError` for images
    of another size.
    """

    width: int = 64
    image_size: int = 32
    dtype: DTypeLike = jnp.float32

    couples_images = True

    def __post_init__(self):
        doublings(self.image_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        check_size(x, self.image_size)
        y = x.astype(self.dtype)
        for i in range(doublings(self.image_size)):
            y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
            y = DownConv(
                self.width << i,
                use_bias=False,
                kernel_init=_WEIGHTS,
                dtype=self.dtype,
                name=f"down{i}",
            )(y)
            if i > 0:
                y = BatchNorm(standing=False, scale_init=_gain_init, name=f"down{i}_norm")(y)
            y = nn.leaky_relu(y, 0.2)
        y = nn.Conv(
            1,
            (4, 4),
            padding="VALID",
            use_bias=False,
            kernel_init=_WEIGHTS,
            dtype=self.dtype,
            name="logit",
        )(y)
        return y.astype(jnp.float32)


def check_size(x: jax.Array, size: int) -> None:
    """Raises `ValueError` unless x is [N, size, size, 3]."""
    if x.shape[1:] != (size, size, 3):
        raise ValueError(
            f"a discriminator for [N, {size}, {size}, 3] got images of shape {x.shape}"
        )
