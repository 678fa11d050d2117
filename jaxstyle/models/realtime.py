"""The real-time generator: dense convolutions at a quarter of the resolution, and no norms."""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.branches import BranchedConv
from jaxstyle.models.convolutions import conv_padded_first
from jaxstyle.models.layers import HE, GeneratorOutput, pixel_shuffle, pixel_unshuffle, reflect_pad

# Pixels that the frame is mirrored beyond its border before the first convolution. The layers pad
# with zeros, which is fast; what these do to the picture falls into the margin and is cut off.
_MARGIN = 8


@dataclasses.dataclass(frozen=True)
class Size:
    """How many channels the body has, and how many residual blocks."""

    width: int
    blocks: int


SIZES = {
    "nano": Size(width=16, blocks=1),
    "tiny": Size(width=24, blocks=2),
    "small": Size(width=32, blocks=4),
    "base": Size(width=64, blocks=6),
}


class StyleAffine(nn.Module):
    """A scale and a shift of each channel that depend on the style (Dumoulin et al. 2017).

    x: [N, H, W, C]. condition: float32 [N, K] or [1, K], the weights of K styles, which mix the
    rows of two tables [K, C]. They start at 1 and at 0, the same for every style. Without a
    condition x is returned as it is, and there are no tables.
    """

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None) -> jax.Array:
        if condition is None:
            return x
        shape = (condition.shape[-1], x.shape[-1])
        # Accelerators would round the tables to half precision, and the cost is nothing.
        mix = functools.partial(jnp.matmul, condition, precision=lax.Precision.HIGHEST)
        scale = mix(self.param("scale", nn.initializers.ones, shape))
        shift = mix(self.param("shift", nn.initializers.zeros, shape))
        return x * scale[:, None, None].astype(x.dtype) + shift[:, None, None].astype(x.dtype)


def _conv3x3(branches: bool, dtype: DTypeLike) -> Callable[..., nn.Module]:
    """f(features, kernel_init, name) -> the module of a 3x3 convolution."""
    if branches:
        return functools.partial(BranchedConv, dtype=dtype)
    return functools.partial(
        nn.Conv,
        kernel_size=(3, 3),
        padding=1,
        conv_general_dilated=conv_padded_first,
        dtype=dtype,
    )


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), both 3x3, the second starting at zero so that the block is inert."""

    dtype: DTypeLike
    branches: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None) -> jax.Array:
        width = x.shape[-1]
        conv = _conv3x3(self.branches, self.dtype)
        y = conv(width, kernel_init=HE, name="Conv_0")(x)
        y = nn.relu(StyleAffine(name="style_0")(y, condition))
        y = conv(width, kernel_init=nn.initializers.zeros, name="Conv_1")(y)
        return x + StyleAffine(name="style_1")(y, condition)


class Realtime(nn.Module):
    """Pixel-unshuffle stem, residual 3x3 body at 1/4 resolution, sub-pixel head, gated input.

    The head gives each full-resolution pixel a colour d and a gate g, and the output is
    (1 - g) * x + d: detail of the frame passes through where the style keeps it, and vanishes
    (texture, sensor noise) where g is near 1, without having to travel through the body.
    The untrained generator is the identity: the head starts at zero, so that no sub-pixel
    differs from its neighbours and no 4x4 grid is there to be unlearnt.

    Nothing is normalised over the frame: a pixel depends on its neighbourhood alone, so tiles
    agree with the whole and a change in one corner cannot make the other flicker.

    With `styles` > 1 one generator has several: after each convolution of the body, and before
    the head, the channels are scaled and shifted by the style (`StyleAffine`). `condition`,
    float32 [N, styles] or [1, styles], has the weight of each: one-hot, or any mix. The styles
    start equal. With a single one `condition` is None.

    With a `half_width` the head has two steps: so many channels at half the resolution, which see
    the frame again, and then the pixels. Lines are crisper for it, and a texture is not bound to
    the grid of 4x4 pixels; `small` with 12 takes 1.7 times as long on two CPU cores.

    With `branches` each convolution is trained as a sum of several and starts as a single one
    (`BranchedConv`); `jaxstyle.models.branches.fold` makes it one again, to be saved and run.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. Returns float32 of the same
    shape, about [-1, 1] but not clipped. With `return_features` also a tuple of feature maps
    [N, h, w, C] at 1/4 resolution, shallow to deep, for contrastive content losses. Raises
    ValueError for a condition that is missing or of another number of styles.
    """

    size: str = "small"
    styles: int = 1
    half_width: int | None = None
    branches: bool = False
    dtype: DTypeLike = jnp.float32

    stride = 4

    def __post_init__(self):
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size!r}; there are: {', '.join(SIZES)}")
        super().__post_init__()

    @property
    def receptive_radius(self) -> int:
        """How far around a pixel the input matters to it, in pixels."""
        convolutions = 1 + 2 * SIZES[self.size].blocks + 1
        # And a cell more, as a pixel may lie at the far side of its own.
        at_quarter = (convolutions + 1) * self.stride
        return at_quarter + (4 if self.half_width else 0)

    @property
    def condition(self) -> str | None:
        """What `__call__` takes beside the image: "styles", or None."""
        return "styles" if self.styles > 1 else None

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: jax.Array | None = None, return_features: bool = False
    ) -> GeneratorOutput:
        given = 1 if condition is None else condition.shape[-1]
        if given != self.styles:
            raise ValueError(f"weights of {given} styles for a generator of {self.styles}")
        if self.styles == 1:
            condition = None
        size = SIZES[self.size]
        padded = reflect_pad(x.astype(self.dtype), _MARGIN)
        tiles = pixel_unshuffle(padded, self.stride)
        conv = _conv3x3(self.branches, self.dtype)
        y = conv(size.width, kernel_init=HE, name="stem")(tiles)
        y = nn.relu(StyleAffine(name="stem_style")(y, condition))
        features = [tiles, y]
        for i in range(size.blocks):
            y = ResidualBlock(self.dtype, self.branches, name=f"block_{i}")(y, condition)
            features.append(y)
        y = nn.relu(StyleAffine(name="head_style")(y, condition))
        cell = self.stride
        if self.half_width:
            cell = 2
            y = pixel_shuffle(conv(4 * self.half_width, kernel_init=HE, name="up")(y), 2)
            y += conv(self.half_width, kernel_init=HE, name="skip")(pixel_unshuffle(padded, 2))
            y = nn.relu(StyleAffine(name="skip_style")(y, condition))
            y = conv(self.half_width, kernel_init=HE, name="half")(y)
            y = nn.relu(StyleAffine(name="half_style")(y, condition))
        head = conv(4 * cell**2, kernel_init=nn.initializers.zeros, name="head")(y)
        head = pixel_shuffle(head, cell).astype(jnp.float32)
        head = head[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        color, gate = head[..., :3], head[..., 3:]
        output = x.astype(jnp.float32) * (1 - gate) + color
        return (output, tuple(features)) if return_features else output
