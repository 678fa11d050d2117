"""The textures of the style, without a pretrained network: the distribution of its patches."""

import jax
import jax.numpy as jnp

from jaxstyle.losses.laplacian_pyramid import laplacian_pyramid

PATCH_SIZE = 7
# Images come from uint8: a spread below one grey level is rounding, and must not be magnified.
SMALLEST_STD = 1 / 255


def patch_distance(
    output: jax.Array, style: jax.Array, key: jax.Array, *, projections: int = 32
) -> jax.Array:
    """Sliced Wasserstein-1 distance between the patches of two batches, mean over scales.

    What `evaluation.swd` measures (Karras et al. 2018), made cheap to differentiate: at each level
    of a Laplacian pyramid, 7x7 patches side by side from a random offset on, along `projections`
    random directions. Levels are normalised by the mean and deviation of the style's. As a loss on
    pixels it makes textures (Elnekave & Weiss 2022, "Generating natural images with direct patch
    distributions matching").

    output, style: float32 [N, S, S, 3] in [-1, 1], S at least 32. Returns a float32 scalar.
    """
    distances = []
    levels = zip(laplacian_pyramid(output), laplacian_pyramid(style), strict=True)
    for i, (ours, theirs) in enumerate(levels):
        place_key, style_place_key, direction_key = jax.random.split(jax.random.fold_in(key, i), 3)
        directions = jax.random.normal(direction_key, (PATCH_SIZE**2 * 3, projections))
        directions /= jnp.linalg.norm(directions, axis=0, keepdims=True)
        mean = theirs.mean(axis=(0, 1, 2), keepdims=True)
        # Here a grey level is 2 / 255.
        std = jnp.maximum(theirs.std(axis=(0, 1, 2), keepdims=True), 2 * SMALLEST_STD)

        def sorted_along_directions(level, key, mean=mean, std=std, directions=directions):
            return jnp.sort(_patches((level - mean) / std, key) @ directions, axis=0)

        a = sorted_along_directions(ours, place_key)
        b = sorted_along_directions(theirs, style_place_key)
        distances.append(jnp.abs(a - b).mean())
    return jnp.stack(distances).mean()


def _patches(level: jax.Array, key: jax.Array) -> jax.Array:
    """Patches side by side, from a random offset on: [N, S, S, C] -> [P, 7 * 7 * C]."""
    n, side, _, channels = level.shape
    count = (side - PATCH_SIZE + 1) // PATCH_SIZE
    covered = count * PATCH_SIZE
    y, x = jax.random.randint(key, (2,), 0, side - covered + 1)
    cut = jax.lax.dynamic_slice(level, (0, y, x, 0), (n, covered, covered, channels))
    blocks = cut.reshape(n, count, PATCH_SIZE, count, PATCH_SIZE, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, PATCH_SIZE**2 * channels)
