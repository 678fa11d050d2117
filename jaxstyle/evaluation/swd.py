"""Sliced Wasserstein distance between the patches of two image sets, one figure per scale.

T. Karras, T. Aila, S. Laine, J. Lehtinen, "Progressive Growing of GANs for Improved Quality,
Stability, and Variation", ICLR 2018, section 5: 7x7 patches are drawn from each level of a
Laplacian pyramid (Burt and Adelson, 1983) and the two patch distributions compared. It needs no
pretrained network, and tells at which scale two sets differ.

One deliberate difference from the paper. There, each set's patches are normalised by that set's
own mean and standard deviation, so that a change of colour or contrast of a whole set goes unseen.
Here both sets are normalised by the statistics of the reference set `b`.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxstyle.losses.laplacian_pyramid import COARSEST_SIZE, laplacian_pyramid
from jaxstyle.losses.patches import PATCH_SIZE, SMALLEST_STD


def _patches(level: jax.Array, count: int, key: jax.Array) -> jax.Array:
    """`count` random patches, spread evenly over the images: [N, H, W, C] -> [count, 7, 7, C]."""
    n, height, width, _ = level.shape
    key_y, key_x = jax.random.split(key)
    y = jax.random.randint(key_y, (count,), 0, height - PATCH_SIZE + 1)
    x = jax.random.randint(key_x, (count,), 0, width - PATCH_SIZE + 1)
    image = jnp.arange(count) * n // count
    offsets = jnp.arange(PATCH_SIZE)
    rows = y[:, None, None] + offsets[None, :, None]
    columns = x[:, None, None] + offsets[None, None, :]
    return level[image[:, None, None], rows, columns]


def _sliced_distance(a: jax.Array, b: jax.Array, projections: int, key: jax.Array) -> jax.Array:
    """Mean 1-D Wasserstein-1 distance over random unit directions; a, b: [P, D] -> scalar."""
    directions = jax.random.normal(key, (projections, a.shape[1]), a.dtype)
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    # In one dimension, optimal transport pairs the points in sorted order.
    along_a, along_b = (
        jnp.sort(jnp.matmul(directions, x.T, precision=jax.lax.Precision.HIGHEST), axis=1)
        for x in (a, b)
    )
    return jnp.mean(jnp.abs(along_a - along_b))


@partial(jax.jit, static_argnames=("projections", "patches_per_image"))
def sliced_wasserstein(
    a: jax.Array,
    b: jax.Array,
    key: jax.Array,
    *,
    projections: int = 256,
    patches_per_image: int = 128,
) -> dict[str, jax.Array]:
    """Sliced Wasserstein distance of `a` from the reference set `b`, per pyramid level.

    The unit is one standard deviation of `b` at that level (Karras et al. print 1000 times that).
    The same key draws the same patch positions and directions for both sets, so a set is at
    distance 0 from itself; two different samples of one distribution are not, and the distance
    between them is the noise floor to compare a figure with. All levels of both sets are held in
    memory at once, about six times the input.

    Args:
      a: [N, H, W, C] float32 in [0, 1], H and W at least 32.
      b: [M, H, W, C], the reference set. M may differ from N: both sets then give
        `min(N, M) * patches_per_image` patches, spread evenly over their images.
      key: a PRNG key.
      projections: number of random directions.
      patches_per_image: number of patches drawn from each image of the smaller set.

    Returns:
      Scalars 'swd/<shorter side of the level>', for example 'swd/128', 'swd/64', 'swd/32',
      'swd/16' for 128x128 images, and their mean 'swd/mean'.

    Raises:
      ValueError: the images of the two sets differ in shape or are smaller than 32 pixels.
    """
    if a.ndim != 4 or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"swd needs two sets of [H, W, C] images, got {a.shape} and {b.shape}")
    if min(a.shape[1:3]) < 2 * COARSEST_SIZE:
        raise ValueError(f"swd needs images of at least {2 * COARSEST_SIZE} pixels, got {a.shape}")

    count = min(a.shape[0], b.shape[0]) * patches_per_image
    distances = {}
    for level_a, level_b in zip(laplacian_pyramid(a), laplacian_pyramid(b), strict=True):
        key, position_key, direction_key = jax.random.split(key, 3)
        patches_a, patches_b = (_patches(x, count, position_key) for x in (level_a, level_b))
        mean = jnp.mean(patches_b, axis=(0, 1, 2), keepdims=True)
        std = jnp.maximum(jnp.std(patches_b, axis=(0, 1, 2), keepdims=True), SMALLEST_STD)
        normalised_a, normalised_b = (
            ((patches - mean) / std).reshape(count, -1) for patches in (patches_a, patches_b)
        )
        distances[f"swd/{min(level_a.shape[1:3])}"] = _sliced_distance(
            normalised_a, normalised_b, projections, direction_key
        )
    distances["swd/mean"] = jnp.mean(jnp.stack(list(distances.values())))
    return distances
