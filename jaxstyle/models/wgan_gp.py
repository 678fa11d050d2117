"""The residual networks of WGAN-GP in their form for CIFAR-10 (Gulrajani et al. 2017).

For each doubling of the size the generator has one more block, and the critic, too.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.dcgan import check_size, doublings
from jaxstyle.models.layers import BatchNorm, FrameNorm, mean_pool, upsample_nearest

CRITIC_NORMS = ("none", "layer")

# Uniform, their variance 4 and 2 over the sum of fan-in and fan-out: the first for convolutions
# that a ReLU precedes, the second for shortcuts and dense layers.
_HE = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
_GLOROT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


class UpBlock(nn.Module):
    """norm, ReLU, upsampling, conv, norm, ReLU, conv; and a 1x1 shortcut: doubles H and W."""

    width: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # A 1x1 convolution and repeated pixels commute, and before them it has a quarter of the
        # work.
        shortcut = nn.Conv(
            self.width, (1, 1), kernel_init=_GLOROT, dtype=self.dtype, name="shortcut"
        )(x)
        y = upsample_nearest(nn.relu(BatchNorm(name="norm0")(x)))
        y = nn.Conv(self.width, (3, 3), kernel_init=_HE, dtype=self.dtype, name="conv0")(y)
        y = nn.relu(BatchNorm(name="norm1")(y))
        y = nn.Conv(self.width, (3, 3), kernel_init=_HE, dtype=self.dtype, name="conv1")(y)
        return upsample_nearest(shortcut) + y


class WganGpGenerator(nn.Module):
    """A dense layer to 4x4, residual blocks that double the size, norm, ReLU, 3x3 conv, tanh.

    All blocks have `width` channels; `image_size` is a power of two from 8 on (the paper: 32, and
    64 with other widths).

    z: float32 [N, latent], N(0, 1). Returns images, float32 [N, S, S, 3] in [-1, 1]. Batch norms
    take the statistics of the batch, and can store and use them: see `layers.BatchNorm`.
    """

    latent: int = 128
    width: int = 128
    image_size: int = 32
    dtype: DTypeLike = jnp.float32

    takes = "noise"
    couples_images = True

    def __post_init__(self):
        doublings(self.image_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        y = nn.Dense(16 * self.width, kernel_init=_GLOROT, dtype=self.dtype, name="project")(z)
        y = y.reshape(-1, 4, 4, self.width)
        for i in range(doublings(self.image_size)):
            y = UpBlock(self.width, self.dtype, name=f"block{i}")(y)
        y = nn.relu(BatchNorm(name="norm")(y))
        y = nn.Conv(3, (3, 3), kernel_init=_GLOROT, dtype=self.dtype, name="out")(y)
        return jnp.tanh(y.astype(jnp.float32))


class CriticBlock(nn.Module):
    """[norm,] ReLU, conv, [norm,] ReLU, conv and a shortcut; with `down`, H and W are halved.

    The `first` block sees an image: it begins with the convolution.
    """

    width: int
    down: bool
    norm: str
    dtype: DTypeLike
    first: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def norm_relu(y, name):
            if self.norm == "layer" and not self.first:
                y = FrameNorm(name=name)(y)
            return nn.relu(y)

        y = x if self.first else norm_relu(x, "norm0")
        y = nn.Conv(self.width, (3, 3), kernel_init=_HE, dtype=self.dtype, name="conv0")(y)
        y = norm_relu(y, "norm1")
        y = nn.Conv(self.width, (3, 3), kernel_init=_HE, dtype=self.dtype, name="conv1")(y)
        if not self.down:
            return x + y
        shortcut = nn.Conv(
            self.width, (1, 1), kernel_init=_GLOROT, dtype=self.dtype, name="shortcut"
        )(mean_pool(x))
        return shortcut + mean_pool(y)


class WganGpCritic(nn.Module):
    """Residual blocks that halve the size down to 8x8, two more there, mean over space, a logit.

    No batch norm, as the gradient penalty is one of each image by itself; `norm` is "none", as the
    paper has it for CIFAR-10, or "layer".

    x: float [N, image_size, image_size, 3] in [-1, 1], image_size a power of two from 16 on.
    Returns logits, float32 [N, 1, 1, 1], unbounded. `update_stats` changes nothing: there are no
    estimates to move. Raises `ValueError` for images of another size.
    """

    width: int = 128
    image_size: int = 32
    norm: str = "none"
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        doublings(self.image_size, smallest=16)
        if self.norm not in CRITIC_NORMS:
            raise ValueError(f"norm is {self.norm!r}; there are: {', '.join(CRITIC_NORMS)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        check_size(x, self.image_size)
        halvings = doublings(self.image_size) - 1
        y = x.astype(self.dtype)
        for i in range(halvings + 2):
            y = CriticBlock(
                self.width,
                down=i < halvings,
                norm=self.norm,
                dtype=self.dtype,
                first=i == 0,
                name=f"block{i}",
            )(y)
        y = nn.relu(y).astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
        return nn.Dense(1, kernel_init=_GLOROT, name="logit")(y)
