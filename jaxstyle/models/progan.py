"""Progressive GAN (Karras et al. 2018): networks that grow from 4x4 pixels while they train.

Stage s works at 4 * 2**s pixels. When a stage begins, its block is faded in: the image is a mix of
what the new block makes and of the enlarged image of the stage before, alpha the share of the new.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.dcgan import check_size, doublings
from jaxstyle.models.layers import mean_pool, upsample_nearest

# (stage, alpha): a static int, and a float32 scalar in [0, 1].
Growth = tuple[int, jax.Array | float]

_RELU_GAIN = math.sqrt(2)
_GROUP = 4


def pixel_norm(x: jax.Array, epsilon: float = 1e-8) -> jax.Array:
    """Scales the vector along the last axis of each position to a mean square of 1."""
    x32 = x.astype(jnp.float32)
    mean_square = jnp.square(x32).mean(axis=-1, keepdims=True)
    return (x32 * lax.rsqrt(mean_square + epsilon)).astype(x.dtype)


def minibatch_stddev(x: jax.Array, group: int = _GROUP, epsilon: float = 1e-8) -> jax.Array:
    """Appends a channel that says how much the images of a group differ.

    [N, H, W, C] -> [N, H, W, C + 1]. Image i is in group i modulo N / group. The channel holds the
    standard deviation over the group of every feature at every position, its mean over those: one
    number a group. A batch that does not divide into groups is one group.
    """
    n, h, w, c = x.shape
    group = group if n % group == 0 else n
    groups = x.astype(jnp.float32).reshape(group, n // group, h, w, c)
    deviation = jnp.sqrt(groups.var(axis=0) + epsilon).mean(axis=(1, 2, 3))
    channel = jnp.tile(deviation, group).reshape(n, 1, 1, 1).astype(x.dtype)
    return jnp.concatenate([x, jnp.broadcast_to(channel, (n, h, w, 1))], axis=-1)


class EqualizedConv(nn.Module):
    """A 'SAME' convolution with equalised learning rate, and a bias.

    Its weights are N(0, 1), and multiplied with He's constant, gain / sqrt(fan-in), at run time. As
    Adam's steps do not depend on the scale of the gradient, all layers so learn at one speed.
    """

    features: int
    kernel_size: int = 3
    gain: float = _RELU_GAIN
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k, c = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(1.0), (k, k, c, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        kernel = (kernel * (self.gain / math.sqrt(k * k * c))).astype(self.dtype)
        y = lax.conv_general_dilated(
            x.astype(self.dtype), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y + bias.reshape(1, 1, 1, -1).astype(self.dtype)


class EqualizedDense(nn.Module):
    """The same as `EqualizedConv` for vectors: [N, C] -> [N, features]."""

    features: int
    gain: float = _RELU_GAIN
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(1.0), (c, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        kernel = (kernel * (self.gain / math.sqrt(c))).astype(self.dtype)
        return x.astype(self.dtype) @ kernel + bias.reshape(1, -1).astype(self.dtype)


def _channels(stage: int, fmap_base: int, width: int) -> int:
    """Of the feature maps at 4 * 2**stage pixels: halved with every stage, but at most `width`."""
    return max(1, min(width, fmap_base >> (stage + 1)))


class ProganGenerator(nn.Module):
    """Pixel-normalised latents, two convolutions at 4x4, and two more for every doubling.

    LeakyReLU 0.2 and pixel norm follow each; images are read off by a 1x1 convolution that each
    stage has of its own. Feature maps at S pixels have min(width, 2 * fmap_base / S) channels.
    `image_size`, that of the last stage, is a power of two from 4 on; what a stage consists of does
    not depend on it.

    z: float32 [N, latent], N(0, 1). growth: (stage, alpha), the stage an int; None is the last
    stage, alpha 1. Returns images, float32 [N, S, S, 3] with S = 4 * 2**stage. They are linear in
    the last features, about [-1, 1] but neither squashed nor clipped: clip what is shown. `init`
    ignores `growth` and creates the parameters of all stages.
    """

    latent: int = 512
    width: int = 512
    fmap_base: int = 8192
    image_size: int = 32
    dtype: DTypeLike = jnp.float32

    takes = "noise"
    grows = True

    def __post_init__(self):
        doublings(self.image_size, smallest=4)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: jax.Array, growth: Growth | None = None) -> jax.Array:
        if self.is_initializing():
            growth = None
        stage, alpha = growth or (doublings(self.image_size, smallest=4), 1.0)
        y = self._first_features(z)
        image = before = self._image(y, 0)
        for s in range(1, stage + 1):
            y = upsample_nearest(y)
            for i in range(2):
                y = self._conv(y, s, f"stage{s}_conv{i}")
            # Only the last two are used. What the others cost is cut off by the compiler, while
            # `init` needs them all.
            before, image = upsample_nearest(image), self._image(y, s)
        return image if growth is None else before + alpha * (image - before)

    def _first_features(self, z: jax.Array) -> jax.Array:
        """[N, latent] -> [N, 4, 4, C]."""
        features = _channels(0, self.fmap_base, self.width)
        # A quarter of the usual gain, as in the authors' code: as if the 16 pixels were fan-in.
        dense = EqualizedDense(
            16 * features, gain=_RELU_GAIN / 4, dtype=self.dtype, name="stage0_dense"
        )
        y = dense(pixel_norm(z)).reshape(-1, 4, 4, features)
        return self._conv(pixel_norm(nn.leaky_relu(y, 0.2)), 0, "stage0_conv")

    def _conv(self, y: jax.Array, stage: int, name: str) -> jax.Array:
        features = _channels(stage, self.fmap_base, self.width)
        y = EqualizedConv(features, dtype=self.dtype, name=name)(y)
        return pixel_norm(nn.leaky_relu(y, 0.2))

    def _image(self, y: jax.Array, stage: int) -> jax.Array:
        to_rgb = EqualizedConv(3, 1, gain=1.0, dtype=self.dtype, name=f"stage{stage}_to_rgb")
        return to_rgb(y).astype(jnp.float32)


class ProganDiscriminator(nn.Module):
    """The generator mirrored, with the deviation within the batch as a last channel at 4x4.

    LeakyReLU 0.2 follows every convolution but the logit; mean pooling halves the size. Fields as
    those of `ProganGenerator`.

    x: float [N, S, S, 3] in [-1, 1] with S = 4 * 2**stage. growth: (stage, alpha) as there; None is
    the last stage, alpha 1. Returns logits, float32 [N, 1, 1, 1]. `update_stats` changes nothing:
    there are no estimates to move. `init` takes images of the last stage, and creates the
    parameters of all. Raises `ValueError` for images of another size.
    """

    width: int = 512
    fmap_base: int = 8192
    image_size: int = 32
    dtype: DTypeLike = jnp.float32

    couples_images = True
    grows = True

    def __post_init__(self):
        doublings(self.image_size, smallest=4)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, update_stats: bool = False, growth: Growth | None = None
    ) -> jax.Array:
        stage, alpha = growth or (doublings(self.image_size, smallest=4), 1.0)
        check_size(x, 4 << stage)
        y = self._features(x, stage)
        for s in range(stage, 0, -1):
            y = self._conv(y, s, f"stage{s}_conv0")
            y = mean_pool(self._conv(y, s - 1, f"stage{s}_conv1"))
            x = mean_pool(x)
            # Only that of the first round is used, and computed; `init` needs them all.
            before = self._features(x, s - 1)
            if growth is not None and s == stage:
                y = before + jnp.asarray(alpha, self.dtype) * (y - before)
        y = self._conv(minibatch_stddev(y), 0, "stage0_conv")
        y = EqualizedDense(
            _channels(-1, self.fmap_base, self.width), dtype=self.dtype, name="stage0_dense"
        )(y.reshape(y.shape[0], -1))
        y = EqualizedDense(1, gain=1.0, dtype=self.dtype, name="logit")(nn.leaky_relu(y, 0.2))
        return y.astype(jnp.float32).reshape(-1, 1, 1, 1)

    def _conv(self, y: jax.Array, stage: int, name: str, kernel_size: int = 3) -> jax.Array:
        features = _channels(stage, self.fmap_base, self.width)
        y = EqualizedConv(features, kernel_size, dtype=self.dtype, name=name)(y)
        return nn.leaky_relu(y, 0.2)

    def _features(self, x: jax.Array, stage: int) -> jax.Array:
        return self._conv(x, stage, f"stage{stage}_from_rgb", kernel_size=1)
