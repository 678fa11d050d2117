"""The real-time generator: all convolutions dense, at a quarter of the resolution, no norms."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxstyle.models.layers import HE, pixel_shuffle, pixel_unshuffle, reflect_pad

# Pixels that the frame is mirrored beyond its border before the first convolution. The layers pad
# with zeros, which is fast; what these do to the picture falls into the margin and is cut off.
_MARGIN = 8


@dataclasses.dataclass(frozen=True)
class Size:
    """How many channels the body has, and how many residual blocks."""

    width: int
    blocks: int


SIZES = {
    "tiny": Size(width=24, blocks=2),
    "small": Size(width=32, blocks=4),
    "base": Size(width=64, blocks=6),
}


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), both 3x3, the second starting at zero so that the block is inert."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        y = nn.Conv(width, (3, 3), kernel_init=HE, dtype=self.dtype)(x)
        y = nn.Conv(width, (3, 3), kernel_init=nn.initializers.zeros, dtype=self.dtype)(nn.relu(y))
        return x + y


class Realtime(nn.Module):
    """Pixel-unshuffle stem, residual 3x3 body at 1/4 resolution, sub-pixel head, gated input.

    The head gives each full-resolution pixel a colour d and a gate g, and the output is
    (1 - g) * x + d: detail of the frame passes through where the style keeps it, and vanishes
    (texture, sensor noise) where g is near 1, without having to travel through the body.
    The untrained generator is the identity: the head starts at zero, so that no sub-pixel
    differs from its neighbours and no 4x4 grid is there to be unlearnt.

    Nothing is normalised over the frame: a pixel depends on its neighbourhood alone, so tiles
    agree with the whole and a change in one corner cannot make the other flicker.

    x: float [N, H, W, 3] in [-1, 1], H and W multiples of `stride`. Returns float32 of the same
    shape, about [-1, 1] but not clipped. With `return_features` also a tuple of feature maps
    [N, h, w, C] at 1/4 resolution, shallow to deep, for contrastive content losses.
    """

    size: str = "small"
    dtype: jnp.dtype = jnp.float32

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
        return (convolutions + 1) * self.stride

    @nn.compact
    def __call__(self, x: jax.Array, return_features: bool = False):
        size = SIZES[self.size]
        padded = reflect_pad(x.astype(self.dtype), _MARGIN)
        tiles = pixel_unshuffle(padded, self.stride)
        y = nn.relu(
            nn.Conv(size.width, (3, 3), kernel_init=HE, dtype=self.dtype, name="stem")(tiles)
        )
        features = [tiles, y]
        for i in range(size.blocks):
            y = ResidualBlock(dtype=self.dtype, name=f"block_{i}")(y)
            features.append(y)
        head = nn.Conv(
            4 * self.stride**2,
            (3, 3),
            kernel_init=nn.initializers.zeros,
            dtype=self.dtype,
            name="head",
        )(nn.relu(y))
        head = pixel_shuffle(head, self.stride).astype(jnp.float32)
        head = head[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        color, gate = head[..., :3], head[..., 3:]
        output = x.astype(jnp.float32) * (1 - gate) + color
        return (output, tuple(features)) if return_features else output
