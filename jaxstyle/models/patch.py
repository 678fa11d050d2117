"""The patch discriminator of pix2pix (Isola et al. 2017): it judges overlapping patches."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.layers import HE, DownConv, FrameNorm, InstanceNorm

NORMS = ("none", "instance", "layer")


class PatchDiscriminator(nn.Module):
    """`layers` 4x4 convolutions of stride 2, one of stride 1, and one to a logit per patch.

    Three layers see patches of 70x70 pixels, two of 34x34, one of 16x16. Channels double from
    `width` up to eight times that. The first layer and the last are not normalised. `norm`:
    "instance" is pix2pix's, and blind to the mean of a channel, so to most of a palette; "layer"
    keeps it, relative to the other channels.

    x: float [N, H, W, 3] in [-1, 1]. Returns logits, float32 [N, h, w, styles]: with several
    styles each has a logit of its own on the shared features, and an image is judged by that of
    its style alone (Liu et al. 2019, "Few-shot unsupervised image-to-image translation"; StarGAN
    v2). With `spectral_norm` (Miyato et al. 2018) the estimates live in the collection
    'batch_stats' and move only with `update_stats`.
    """

    width: int = 64
    layers: int = 3
    norm: str = "instance"
    spectral_norm: bool = False
    styles: int = 1
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        if self.norm not in NORMS:
            raise ValueError(f"norm is {self.norm!r}; there are: {', '.join(NORMS)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, update_stats: bool = False) -> jax.Array:
        # Without norms the scale of the signal is the weights' to keep.
        init = HE if self.norm == "none" else nn.initializers.normal(0.02)

        def conv(y, features, name, down):
            options: dict[str, Any] = {"kernel_init": init, "dtype": self.dtype, "name": name}
            if down:
                y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
                layer: nn.Module = DownConv(features, 4, **options)
            else:
                # Padded by the convolution, whose gradient then leaves the padding out.
                layer = nn.Conv(features, (4, 4), padding=1, **options)
            if self.spectral_norm:
                return nn.SpectralNorm(layer, name=f"{name}_sn")(y, update_stats=update_stats)
            return layer(y)

        y = x.astype(self.dtype)
        for i in range(self.layers + 1):
            y = conv(y, self.width * min(2**i, 8), f"conv{i}", down=i < self.layers)
            if self.norm == "instance" and i > 0:
                y = InstanceNorm()(y)
            elif self.norm == "layer" and i > 0:
                y = FrameNorm(name=f"norm{i}")(y)
            y = nn.leaky_relu(y, 0.2)
        return conv(y, self.styles, "logits", down=False).astype(jnp.float32)
