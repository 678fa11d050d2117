"""The palette of the style, without a pretrained network: the distribution of its colours."""

import jax
import jax.numpy as jnp


def palette_distance(
    output: jax.Array, style: jax.Array, key: jax.Array, *, block: int = 8, projections: int = 32
) -> jax.Array:
    """Sliced Wasserstein-1 distance between the colours of two batches (Bonneel et al. 2015).

    output, style: float32 [N, H, W, 3] in [-1, 1], H and W multiples of `block`. Colours are means
    of `block` x `block` pixels, so that lines and texture do not count. Along each of `projections`
    random directions the two sets are sorted, and the mean absolute difference of equal ranks is
    their distance. Returns a float32 scalar.
    """
    directions = jax.random.normal(key, (3, projections))
    directions /= jnp.linalg.norm(directions, axis=0, keepdims=True)

    def sorted_along_directions(images):
        colours = block_means(images, block).reshape(-1, 3)
        return jnp.sort(colours @ directions, axis=0)

    return jnp.abs(sorted_along_directions(output) - sorted_along_directions(style)).mean()


def block_means(x: jax.Array, block: int) -> jax.Array:
    """Means of `block` x `block` pixels: [N, H, W, C] -> [N, H / block, W / block, C]."""
    n, h, w, c = x.shape
    return x.reshape(n, h // block, block, w // block, block, c).mean(axis=(2, 4))
