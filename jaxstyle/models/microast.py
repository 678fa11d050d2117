"""MicroAST (Wang et al. 2023): the look of any image, given when it runs, by half a million
parameters."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.layers import (
    GeneratorOutput,
    TiledConv,
    down_conv,
    reflect_pad,
    upsample_bilinear,
)

# As PyTorch initialises a convolution, which the published model was trained from: the modulated
# blocks multiply what they compute by what they compute, and He's variance would be six times it.
_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_EPSILON = 1e-5


def _over_pixels(vectors: jax.Array) -> jax.Array:
    """[N, C] -> [N, 1, 1, C]."""
    return vectors[:, None, None, :]


def _statistics(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each channel of [N, H, W, C] over H and W: float32 [N, C].

    The variance is the unbiased one, with the epsilon added to it: as in the published code.
    """
    x = x.astype(jnp.float32)
    mean = x.mean(axis=(1, 2))
    pixels = x.shape[1] * x.shape[2]
    variance = jnp.square(x - _over_pixels(mean)).sum(axis=(1, 2)) / (pixels - 1)
    return mean, jnp.sqrt(variance + _EPSILON)


def _window_means(x: jax.Array) -> jax.Array:
    """What each tap of a reflection-padded 3x3 convolution of [N, H, W, C] sees on average.

    float32 [N, 3, 3, C]. The mean of a convolution is the convolution of these.
    """
    h, w = x.shape[1:3]
    x = reflect_pad(x.astype(jnp.float32), 1, gathered=True)
    columns = [x[:, :, j : j + w].mean(axis=2) for j in range(3)]
    means = [[rows[:, i : i + h].mean(axis=1) for rows in columns] for i in range(3)]
    return jnp.stack([jnp.stack(row, axis=1) for row in means], axis=1)


def adain(x: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Gives each channel of x the given mean and standard deviation (Huang & Belongie 2017).

    x: [N, H, W, C], more than one pixel. mean, std: float32 [N, C] or [1, C]. Returns the same
    dtype and shape as x.
    """
    own_mean, own_std = _statistics(x)
    gain = std / own_std
    offset = mean - own_mean * gain
    return (x.astype(jnp.float32) * _over_pixels(gain) + _over_pixels(offset)).astype(x.dtype)


class GroupedConv3x3(nn.Module):
    """A reflection-padded 3x3 convolution in as many groups as x or the result has channels.

    [N, H, W, C] -> [N, H, W, C/2], each channel from two neighbours (`down` off), or
    [N, ceil(H/2), ceil(W/2), 2C], each giving two (`down` on). Parameters are those of the grouped
    convolution, kernel [3, 3, C/groups, features] and bias [features].

    Computed as a dense one whose kernel is zero outside the groups: many times faster on CPU,
    where XLA's grouped convolutions and their gradients are naive loops.
    """

    features: int
    down: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        groups = min(c, self.features)
        kernel = self.param("kernel", _INIT, (3, 3, c // groups, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        own = jnp.eye(groups, dtype=kernel.dtype).reshape(1, 1, groups, 1, groups, 1)
        dense = own * kernel.reshape(3, 3, 1, c // groups, groups, self.features // groups)
        dense = dense.reshape(3, 3, c, self.features).astype(self.dtype)
        x = reflect_pad(x.astype(self.dtype), 1, gathered=True)
        if self.down:
            y = down_conv(x, dense)
        else:
            y = lax.conv_general_dilated(
                x, dense, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        return y + bias.reshape(1, 1, 1, -1).astype(self.dtype)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), both 3x3, its filters modulated if a weight and a bias are given.

    Modulated, conv(x) is weight * conv(x) + bias * x: that is a convolution whose filters are
    scaled by the one and have the other added to their centre tap.
    """

    dtype: DTypeLike

    @nn.compact
    def __call__(
        self, x: jax.Array, weight: jax.Array | None = None, bias: jax.Array | None = None
    ) -> jax.Array:
        def conv(name: str, x: jax.Array) -> jax.Array:
            layer = nn.Conv(
                x.shape[-1], (3, 3), padding="VALID", kernel_init=_INIT, dtype=self.dtype, name=name
            )
            y = layer(reflect_pad(x, 1, gathered=True))
            if weight is None or bias is None:
                return y
            scale, shift = (_over_pixels(v).astype(self.dtype) for v in (weight, bias))
            return scale * y + shift * x

        return x + conv("conv1", nn.relu(conv("conv0", x)))


class Encoder(nn.Module):
    """x in [-1, 1], [N, H, W, 3], to feature maps, shallow to deep.

    [N, H/2, W/2, 32], then two levels of [N, H/4, W/4, 64]; H and W multiples of 4.
    """

    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        options: dict[str, Any] = {"kernel_init": _INIT, "dtype": self.dtype}
        # The published weights expect [0, 1].
        y = (x.astype(jnp.float32) * 0.5 + 0.5).astype(self.dtype)
        y = nn.relu(TiledConv(16, 9, name="conv", **options)(reflect_pad(y, 4)))
        y = nn.relu(GroupedConv3x3(32, down=True, dtype=self.dtype, name="down0")(y))
        half = nn.relu(nn.Conv(32, (1, 1), name="mix0", **options)(y))
        y = nn.relu(GroupedConv3x3(64, down=True, dtype=self.dtype, name="down1")(half))
        y = nn.relu(nn.Conv(64, (1, 1), name="mix1", **options)(y))
        shallow = ResidualBlock(self.dtype, name="residual0")(y)
        return half, shallow, ResidualBlock(self.dtype, name="residual1")(shallow)


class Modulation(nn.Module):
    """The mean over H and W of a depthwise 3x3 convolution: [N, 3, 3, C] -> float32 [N, C].

    It takes `_window_means` of what is to be convolved.
    """

    @nn.compact
    def __call__(self, means: jax.Array) -> jax.Array:
        c = means.shape[-1]
        kernel = self.param("kernel", _INIT, (3, 3, 1, c))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        return jnp.einsum("nijc,ijc->nc", means, kernel[:, :, 0]) + bias[None]


class Decoder(nn.Module):
    """[N, h, w, 64] to [N, 4h, 4w, 3] in [-1, 1], in the style that `condition` describes."""

    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any) -> jax.Array:
        options: dict[str, Any] = {"kernel_init": _INIT, "dtype": self.dtype}
        y = x
        # From the deep level of the style to the shallow one.
        for i, level in enumerate(reversed(condition)):
            y = adain(y, level["mean"], level["std"])
            y = ResidualBlock(self.dtype, name=f"residual{i}")(y, level["weight"], level["bias"])
        for i, features in enumerate((32, 16)):
            y = upsample_bilinear(y)
            y = nn.relu(GroupedConv3x3(features, dtype=self.dtype, name=f"up{i}")(y))
            y = nn.relu(nn.Conv(features, (1, 1), name=f"mix{i}", **options)(y))
        # Begins at grey, the middle of the range.
        out = TiledConv(3, 9, bias_init=nn.initializers.constant(0.5), name="out", **options)
        return out(reflect_pad(y, 4)).astype(jnp.float32) * 2 - 1


class MicroAst(nn.Module):
    """MicroAST's generator: 471,987 parameters, of which a frame in a given style takes 311,635.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. condition: what `encode_style`
    gave. Returns float32 of the same shape, about [-1, 1] but not clipped. With `return_features`
    also a tuple of feature maps of x, shallow to deep.
    """

    dtype: DTypeLike = jnp.float32

    stride = 4
    condition = "image"

    def setup(self):
        """Names the parts that a call and `encode_style` share out among them."""
        self.content_encoder = Encoder(self.dtype)
        self.style_encoder = Encoder(self.dtype)
        self.weights = [Modulation(), Modulation()]
        self.biases = [Modulation(), Modulation()]
        self.decoder = Decoder(self.dtype)

    def encode_style(self, style: jax.Array) -> Any:
        """All that the decoder needs of style images: float [M, H, W, 3] in [-1, 1].

        H and W are multiples of `stride`, at least 8. Returns, for the shallow and the deep level
        of the encoder, a dict of float32 [M, 64]: "mean" and "std" of its features, "weight" and
        "bias" that modulate the decoder's filters.
        """
        condition = []
        for level, features in enumerate(self.style_encoder(style)[1:]):
            mean, std = _statistics(features)
            means = _window_means(features)
            weight, bias = self.weights[level](means), self.biases[level](means)
            condition.append({"mean": mean, "std": std, "weight": weight, "bias": bias})
        return tuple(condition)

    def __call__(
        self, x: jax.Array, condition: Any, return_features: bool = False
    ) -> GeneratorOutput:
        """Stylizes x; see the class."""
        half, shallow, deep = self.content_encoder(x)
        output = self.decoder(deep, condition)
        return (output, (x.astype(self.dtype), half, shallow, deep)) if return_features else output
