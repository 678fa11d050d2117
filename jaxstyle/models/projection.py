"""The projection heads of PatchNCE (Park et al. 2020): features of patches -> unit vectors."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class ProjectionHeads(nn.Module):
    """A two-layer perceptron per feature map, applied to the features at given positions.

    features: tuple of [N, H_l, W_l, C_l]; positions: tuple of int32 [P_l], flat indices into
    H_l * W_l, the same for all images. Returns a tuple of float32 [N, P_l, width] of length 1.
    """

    width: int = 256

    @nn.compact
    def __call__(
        self, features: tuple[jax.Array, ...], positions: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, ...]:
        projected = []
        for i, (maps, index) in enumerate(zip(features, positions, strict=True)):
            n, h, w, c = maps.shape
            x = maps.astype(jnp.float32).reshape(n, h * w, c)[:, index]
            x = nn.relu(nn.Dense(self.width, name=f"hidden_{i}")(x))
            x = nn.Dense(self.width, name=f"out_{i}")(x)
            norm = jnp.sqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-12)
            projected.append(x / norm)
        return tuple(projected)
