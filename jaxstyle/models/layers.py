"""Building blocks that several architectures share. All take and give NHWC arrays.

The functions among them are jitted under their own name, which costs nothing inside a jitted
model: a traced model names them, and `jaxstyle.export` writes each as one operation.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.convolutions import depthwise_conv_3x3, down_conv

Initializer = Callable[..., jax.Array]

# What a generator gives: images, and with `return_features` a tuple of feature maps beside them.
type GeneratorOutput = jax.Array | tuple[jax.Array, tuple[jax.Array, ...]]

HE = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")


def _per_channel(vector: jax.Array) -> jax.Array:
    return vector.reshape(1, 1, 1, -1)


@functools.partial(jax.jit, static_argnames="factor")
def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    """Moves each `factor` x `factor` tile of pixels into channels.

    [N, H, W, C] -> [N, H/factor, W/factor, factor*factor*C], the channel index running over
    (row in tile, column in tile, C). H and W must be multiples of `factor`.
    """
    n, h, w, c = x.shape
    x = x.reshape(n, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // factor, w // factor, factor * factor * c)


@functools.partial(jax.jit, static_argnames="factor")
def pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
    """The inverse of `pixel_unshuffle`: [N, H, W, factor*factor*C] -> [N, H*factor, W*factor, C].

    Sub-pixel convolution (Shi et al. 2016) is a convolution followed by this.
    """
    n, h, w, c = x.shape
    c //= factor * factor
    x = x.reshape(n, h, w, factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * factor, w * factor, c)


def reflect_pad(
    x: jax.Array,
    top: int,
    bottom: int | None = None,
    left: int | None = None,
    right: int | None = None,
    *,
    gathered: bool = False,
) -> jax.Array:
    """Pads H and W of [N, H, W, C] by reflection; with one number, by as much on every side.

    gathered: the same result by a gather, which XLA computes inside the convolution that reads
    it. On CPU that is up to a quarter of a convolution's time less than a padded copy; what
    rearranges the pixels, such as `pixel_unshuffle`, is slower for it.
    """
    if bottom is None:
        bottom = left = right = top
    return _reflect_padder(top, bottom, left, right, gathered)(x)


@functools.cache
def _reflect_padder(
    top: int, bottom: int, left: int, right: int, gathered: bool
) -> Callable[[jax.Array], jax.Array]:
    def copy(x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode="reflect")

    @jax.custom_vjp
    def gather(x: jax.Array) -> jax.Array:
        rows = _reflected_indices(x.shape[1], top, bottom)
        columns = _reflected_indices(x.shape[2], left, right)
        return x[:, rows][:, :, columns]

    def backward(_: None, gradient: jax.Array) -> tuple[jax.Array]:
        """That of the copy: the gradient of a gather is a scatter, which is slow."""
        n, h, w, c = gradient.shape
        shape = (n, h - top - bottom, w - left - right, c)
        return jax.linear_transpose(copy, jax.ShapeDtypeStruct(shape, gradient.dtype))(gradient)

    gather.defvjp(lambda x: (gather(x), None), backward)

    def pad(x: jax.Array) -> jax.Array:
        return gather(x) if gathered else copy(x)

    # The shapes alone would not tell a reader of the traced model how much is on which side.
    pad.__name__ = f"reflect_pad_{top}_{bottom}_{left}_{right}"
    return jax.jit(pad)


def _reflected_indices(size: int, before: int, after: int) -> np.ndarray | jax.Array:
    """[1, 0, 1, 2, 1] for a size of 3 and one pixel on each side."""
    if isinstance(size, int):
        return np.pad(np.arange(size), (before, after), mode="reflect")
    # A symbolic size, of a model that is exported for all sizes.
    period = 2 * (size - 1)
    index = jnp.abs(jnp.arange(size + before + after) - before)
    return jnp.minimum(index, period - index)


@jax.jit
def upsample_nearest(x: jax.Array) -> jax.Array:
    """Doubles H and W of [N, H, W, C] by repeating pixels."""
    n, h, w, c = x.shape
    x = jnp.broadcast_to(x.reshape(n, h, 1, w, 1, c), (n, h, 2, w, 2, c))
    return x.reshape(n, 2 * h, 2 * w, c)


@jax.jit
def mean_pool(x: jax.Array) -> jax.Array:
    """Halves H and W of [N, H, W, C], both even, by the means of 2x2 pixels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def _neighbours(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """For each place along the axis what is before it and after it, the edges repeated."""
    size = x.shape[axis]
    edge_first = lax.slice_in_dim(x, 0, 1, axis=axis)
    edge_last = lax.slice_in_dim(x, size - 1, size, axis=axis)
    before = jnp.concatenate([edge_first, lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
    after = jnp.concatenate([lax.slice_in_dim(x, 1, size, axis=axis), edge_last], axis)
    return before, after


@jax.jit
def upsample_bilinear(x: jax.Array) -> jax.Array:
    """Doubles H and W of [N, H, W, C] bilinearly, pixel centres aligned as in `jax.image.resize`.

    Each output is 3/4 of the nearer and 1/4 of the farther input; slices and a lerp along each
    axis are several times faster on CPU than the gather of a general resize.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        before, after = _neighbours(x, axis)
        pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = pairs.reshape((*x.shape[:axis], 2 * size, *x.shape[axis + 1 :]))
    return x


@jax.jit
def frame_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> jax.Array:
    """`FrameNorm` with its parameters given: x [N, H, W, C], scale and bias float32 [C]."""
    x32 = x.astype(jnp.float32)
    mean = x32.mean(axis=(1, 2, 3), keepdims=True)
    variance = jnp.square(x32 - mean).mean(axis=(1, 2, 3), keepdims=True)
    gain = lax.rsqrt(variance + epsilon) * _per_channel(scale)
    return ((x32 - mean) * gain + _per_channel(bias)).astype(x.dtype)


@jax.jit
def instance_norm(x: jax.Array, epsilon: float) -> jax.Array:
    """Normalisation over H and W of each channel of [N, H, W, C]; statistics in float32."""
    x32 = x.astype(jnp.float32)
    mean = x32.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(x32 - mean).mean(axis=(1, 2), keepdims=True)
    return ((x32 - mean) * lax.rsqrt(variance + epsilon)).astype(x.dtype)


class DepthwiseConv3x3(nn.Module):
    """`depthwise_conv_3x3` with its parameters: [N, H, W, C] -> [N, H-2, W-2, C]."""

    kernel_init: Initializer = HE
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (3, 3, 1, c)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (c,)).astype(self.dtype)
        return depthwise_conv_3x3(x, kernel, bias)


class DownConv(nn.Module):
    """A convolution of stride 2 without padding, by `down_conv`.

    [N, H, W, C] -> [N, (H-k)//2+1, (W-k)//2+1, features]. Parameters are those of the
    strided convolution: kernel [k, k, C, features], bias [features] unless `use_bias` is off.
    """

    features: int
    kernel_size: int = 4
    use_bias: bool = True
    kernel_init: Initializer = HE
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k, c = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (k, k, c, self.features))
        y = down_conv(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + _per_channel(bias).astype(self.dtype)
        return y


class FrameNorm(nn.Module):
    """Layer normalisation over H, W and C with a gain and a bias per channel (Ba et al. 2016).

    Statistics are in float32 whatever the compute dtype. Every pixel depends on every other:
    the result is not that of tiles of the frame put together.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        return frame_norm(x, scale, bias, self.epsilon)


class InstanceNorm(nn.Module):
    """Normalisation over H and W per channel, without gain or bias (Ulyanov et al. 2016)."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return instance_norm(x, self.epsilon)


class BatchNorm(nn.Module):
    """Normalisation of each channel of [N, H, W, C] over N, H and W (Ioffe & Szegedy 2015).

    Statistics are in float32 whatever the compute dtype, and those of the batch at hand. No running
    averages are kept while training. Instead, `apply` with "batch_stats" mutable stores those of
    its batch as standing statistics (Brock et al. 2019); `apply` with stored ones uses these, so
    that an image no longer depends on the others of its batch. (`init` stores a mean of 0 and a
    variance of 1: pass on its "params" alone to train.) `standing=False` neither stores nor uses.
    """

    standing: bool = True
    scale_init: Initializer = nn.initializers.ones
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (1, 1, 1, x.shape[-1])
        scale = self.param("scale", self.scale_init, shape[-1:]).reshape(shape)
        bias = self.param("bias", nn.initializers.zeros, shape[-1:]).reshape(shape)
        x32 = x.astype(jnp.float32)
        stores = self.standing and self.is_mutable_collection("batch_stats")
        if self.standing and not stores and self.has_variable("batch_stats", "mean"):
            mean: jax.Array = self.get_variable("batch_stats", "mean").reshape(shape)
            variance: jax.Array = self.get_variable("batch_stats", "variance").reshape(shape)
        else:
            mean = x32.mean(axis=(0, 1, 2), keepdims=True)
            variance = jnp.square(x32 - mean).mean(axis=(0, 1, 2), keepdims=True)
        if stores:
            # The example that parameters are initialised with is no data to keep statistics of.
            fresh = self.is_initializing()
            kept = (
                jnp.zeros_like(mean) if fresh else mean,
                jnp.ones_like(mean) if fresh else variance,
            )
            for name, value in zip(("mean", "variance"), kept, strict=True):
                self.put_variable("batch_stats", name, value.reshape(-1))
        gain = lax.rsqrt(variance + self.epsilon) * scale
        return ((x32 - mean) * gain + bias).astype(x.dtype)


@jax.jit
def tiled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of stride 1 without padding or bias, computed on tiles of 2x2 pixels.

    x: [N, H, W, C], H and W even. kernel: [k, k, C, features], k odd. Returns
    [N, H-k+1, W-k+1, features], in the dtype of both. A convolution of few channels leaves most
    of a matrix product's width unused; four pixels at once fill it, for ((k+1)/k)^2 times the
    arithmetic. 9x9 from 16 channels to 3 is four times faster on CPU for it, forward, and from
    3 to 16 almost twice; gradients gain as much.
    """
    k, _, c, features = kernel.shape
    size = (k + 1) // 2
    # The pixel at (row, column) of a tile is the same sum of products, moved by as much.
    moved = [
        jnp.pad(kernel, ((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)))
        for row in range(2)
        for column in range(2)
    ]
    tiles = jnp.stack(moved, axis=-2).reshape(size, 2, size, 2, c, 4 * features)
    tiles = tiles.transpose(0, 2, 1, 3, 4, 5).reshape(size, size, 4 * c, 4 * features)
    y = lax.conv_general_dilated(
        pixel_unshuffle(x, 2), tiles, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return pixel_shuffle(y, 2)


class TiledConv(nn.Module):
    """`tiled_conv` with its parameters: kernel [k, k, C, features], bias [features].

    [N, H, W, C] -> [N, H-k+1, W-k+1, features]; H and W even, k odd.
    """

    features: int
    kernel_size: int
    kernel_init: Initializer = HE
    bias_init: Initializer = nn.initializers.zeros
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k, c = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (k, k, c, self.features))
        bias = self.param("bias", self.bias_init, (self.features,))
        y = tiled_conv(x.astype(self.dtype), kernel.astype(self.dtype))
        return y + _per_channel(bias).astype(self.dtype)


@jax.jit
def upsample_bilinear_aligned(x: jax.Array) -> jax.Array:
    """Doubles H and W of [N, H, W, C] bilinearly, the corner pixels of both in the same place.

    What PyTorch calls align_corners: output j lies at j * (n - 1) / (2n - 1) of n inputs, so that
    the weights of its two neighbours drift from one side of the frame to the other.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        before, after = _neighbours(x, axis)
        shape = [-1 if i == axis else 1 for i in range(x.ndim)]
        drift = (jnp.arange(size, dtype=jnp.float32) / (2 * size - 1)).reshape(shape)
        # That of the even outputs' left neighbour; the odd ones' right neighbour mirrors it.
        left, right = drift.astype(x.dtype), jnp.flip(drift, axis).astype(x.dtype)
        pairs = jnp.stack([x + left * (before - x), x + right * (after - x)], axis=axis + 1)
        x = pairs.reshape((*x.shape[:axis], 2 * size, *x.shape[axis + 1 :]))
    return x
