"""The discriminator of Projected GANs (Sauer et al. 2021): it judges by pretrained features."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxstyle.models.layers import HE

MIXINGS = ("none", "channels", "scales")

# Variance in is variance out, so that no layer drowns another.
_MIX = nn.initializers.lecun_normal()


class ProjectedDiscriminator(nn.Module):
    """A head on each of some feature maps of a frozen network: 1x1, 3x3 and 1x1 convolutions.

    The features are mixed first, by convolutions that are drawn at random and never trained, so
    that a head cannot rely on a few channels. mixing: "channels", each map's by 1x1, to
    `mixed_width`; "scales", and then from deep to shallow each map gets the deeper one, by 3x3 and
    enlarged bilinearly; or "none". (In the paper both, before heads that shrink their map to 4x4
    logits; here each position has its own, with a receptive field barely larger than the
    network's.)

    maps: by the names of `layers`, float [N, h, w, C] each. Returns the heads' logits, by layer:
    {layer: float32 [N, h, w, styles]}; for `styles` see `PatchDiscriminator`. With `spectral_norm`
    (Miyato et al. 2018) the collection "batch_stats" holds the estimates, which move only with
    `update_stats`, beside what mixes.
    """

    layers: tuple[str, ...] = ("relu2_1", "relu3_1", "relu4_1")
    width: int = 48
    mixing: str = "channels"
    mixed_width: int = 64
    spectral_norm: bool = False
    styles: int = 1
    dtype: DTypeLike = jnp.float32

    takes = "features"

    def __post_init__(self):
        if self.mixing not in MIXINGS:
            raise ValueError(f"mixing is {self.mixing!r}; there are: {', '.join(MIXINGS)}")
        named = not isinstance(self.layers, str) and all(isinstance(x, str) for x in self.layers)
        if not (named and self.layers and len(set(self.layers)) == len(self.layers)):
            raise ValueError(f"layers is {self.layers!r}; it must name some, each once")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, maps: Mapping[str, jax.Array], update_stats: bool = False
    ) -> dict[str, jax.Array]:
        mixed = self._mixed({layer: maps[layer].astype(self.dtype) for layer in self.layers})
        return {layer: self._head(layer, mixed[layer], update_stats) for layer in self.layers}

    def _mixed(self, maps: dict[str, jax.Array]) -> dict[str, jax.Array]:
        if self.mixing == "none":
            return maps
        mixed = {layer: self._fixed_conv(f"mix_{layer}", x, 1) for layer, x in maps.items()}
        if self.mixing == "channels":
            return mixed
        # The smaller a map, the deeper.
        deeper, *others = sorted(maps, key=lambda layer: maps[layer].shape[1])
        for layer in others:
            own = mixed[layer]
            small = self._fixed_conv(f"fuse_{layer}", mixed[deeper], 3)
            enlarged = jax.image.resize(small, own.shape, "bilinear")
            mixed[layer] = (own + enlarged) * 0.5**0.5
            deeper = layer
        return mixed

    def _fixed_conv(self, name: str, x: jax.Array, size: int) -> jax.Array:
        shape = (size, size, x.shape[-1], self.mixed_width)
        kernel: Any = self.variable(
            "batch_stats", name, lambda: _MIX(self.make_rng("params"), shape)
        )
        return jax.lax.conv_general_dilated(
            x,
            kernel.value.astype(self.dtype),
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def _head(self, layer: str, x: jax.Array, update_stats: bool) -> jax.Array:
        small = nn.initializers.normal(0.02)
        for name, features, size, init in (
            ("hidden0", self.width, 1, HE),
            ("hidden1", self.width, 3, HE),
            ("logits", self.styles, 1, small),
        ):
            options: dict[str, Any] = {"kernel_init": init, "dtype": self.dtype}
            conv = nn.Conv(features, (size, size), name=f"{layer}_{name}", **options)
            if self.spectral_norm:
                x = nn.SpectralNorm(conv, name=f"{layer}_{name}_sn")(x, update_stats=update_stats)
            else:
                x = conv(x)
            if name != "logits":
                x = nn.leaky_relu(x, 0.2)
        return x.astype(jnp.float32)
