"""The residual generator of CycleGAN (Zhu et al. 2017) and CUT (Park et al. 2020)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.layers import (
    DownConv,
    GeneratorOutput,
    InstanceNorm,
    reflect_pad,
    upsample_bilinear,
)

_NORMAL = nn.initializers.normal(0.02)


class ReflectConv(nn.Module):
    """A convolution with reflection padding, as large as its input."""

    features: int
    kernel_size: int = 3
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k = self.kernel_size
        x = reflect_pad(x, k // 2, gathered=True)
        conv = nn.Conv(
            self.features,
            (k, k),
            padding="VALID",
            kernel_init=_NORMAL,
            dtype=self.dtype,
            name="conv",
        )
        return conv(x)


class ResnetBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), both 3x3."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        y = nn.relu(InstanceNorm()(ReflectConv(c, dtype=self.dtype, name="conv0")(x)))
        return x + InstanceNorm()(ReflectConv(c, dtype=self.dtype, name="conv1")(y))


class ResnetGenerator(nn.Module):
    """7x7 stem, two convolutions of stride 2, `blocks` residual blocks, and the way back up.

    Every convolution but the last is followed by an instance norm and a ReLU. With the published
    64 channels and 9 blocks it has 11,378,179 parameters, as CycleGAN's. That goes up by
    transposed convolutions, which print checkerboards; here it is, as in CUT, a bilinear
    upsampling and a 3x3 convolution. CUT also blurs before it goes down; this one does not, which
    saves three quarters of both convolutions there.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. Returns float32 of the same
    shape in (-1, 1). With `return_features` also the five feature maps that CUT compares: the
    pixels, the two convolutions of stride 2 before their norms, the first residual block and the
    middle one (the fifth of nine).
    """

    width: int = 64
    blocks: int = 9
    dtype: DTypeLike = jnp.float32

    stride = 4

    @nn.compact
    def __call__(self, x: jax.Array, return_features: bool = False) -> GeneratorOutput:
        conv = functools.partial(nn.Conv, kernel_init=_NORMAL, dtype=self.dtype)

        def norm_relu(y):
            return nn.relu(InstanceNorm()(y))

        y = x.astype(self.dtype)
        features = [y]
        y = norm_relu(ReflectConv(self.width, 7, self.dtype, name="stem")(y))
        for i, width in enumerate((2 * self.width, 4 * self.width)):
            y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
            y = DownConv(width, 3, kernel_init=_NORMAL, dtype=self.dtype, name=f"down{i}")(y)
            features.append(y)
            y = norm_relu(y)
        for i in range(self.blocks):
            y = ResnetBlock(self.dtype, name=f"block{i}")(y)
            if i in (0, self.blocks // 2):
                features.append(y)
        for i, width in enumerate((2 * self.width, self.width)):
            y = norm_relu(conv(width, (3, 3), name=f"up{i}")(upsample_bilinear(y)))
        y = ReflectConv(3, 7, self.dtype, name="out")(y)
        output = jnp.tanh(y.astype(jnp.float32))
        return (output, tuple(features)) if return_features else output
