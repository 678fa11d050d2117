"""Differentiable augmentation of what a discriminator sees (Zhao et al. 2020, DiffAugment).

Real pictures and a generator's are changed alike, and gradients flow through, so a discriminator
does not learn few pictures by heart, and a generator does not learn the changes. Each image draws
its own; strength 1 is the paper's.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

POLICIES = ("color", "translation", "cutout")


def diff_augment(
    images: jax.Array, keys: jax.Array, policies: Sequence[str], strength: float = 1.0
) -> jax.Array:
    """Changes each image as `policies` say, in the order of `POLICIES`.

    images: float32 [N, H, W, 3] in [-1, 1], a range that colours may leave. keys: [N]. strength:
    in (0, 1], how much of the paper's changes there is. Returns the same shape and dtype.
    """
    apply = {"color": random_color, "translation": random_translation, "cutout": random_cutout}
    for number, policy in enumerate(POLICIES):
        if policy in policies:
            policy_keys = jax.vmap(lambda key, n=number: jax.random.fold_in(key, n))(keys)
            images = apply[policy](images, policy_keys, strength)
    return images


def random_color(images: jax.Array, keys: jax.Array, strength: float = 1.0) -> jax.Array:
    """Brightness, then saturation, then contrast.

    With u from U(-1, 1), each its own: adds `strength` u / 2; multiplies what differs from the mean
    of a pixel's channels by 1 + `strength` u; and what differs from the image's mean by
    1 + `strength` u / 2. Arguments as in `diff_augment`.
    """
    draws = jax.vmap(lambda key: jax.random.uniform(key, (3,), images.dtype, -1.0, 1.0))(keys)
    brightness, saturation, contrast = strength * draws.T[:, :, None, None, None]
    x = images + brightness / 2
    grey = x.mean(axis=-1, keepdims=True)
    x = grey + (x - grey) * (1 + saturation)
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (1 + contrast / 2)


def random_translation(images: jax.Array, keys: jax.Array, strength: float = 1.0) -> jax.Array:
    """Moves by up to `strength` / 8 of the side along each axis; 0 comes in at the border.

    Arguments as in `diff_augment`.
    """
    rows, columns = (round(side * strength / 8) for side in images.shape[1:3])
    padded = jnp.pad(images, ((0, 0), (rows, rows), (columns, columns), (0, 0)))

    def moved(image, key):
        limits = jnp.array([2 * rows, 2 * columns])
        row, column = jax.random.randint(key, (2,), 0, limits + 1)
        return jax.lax.dynamic_slice(image, (row, column, 0), images.shape[1:])

    return jax.vmap(moved)(padded, keys)


def random_cutout(images: jax.Array, keys: jax.Array, strength: float = 1.0) -> jax.Array:
    """Sets a rectangle of `strength` / 2 of each side to 0, its centre anywhere in the image.

    Arguments as in `diff_augment`.
    """
    sides = images.shape[1:3]

    def covered(key):
        rows, columns = (
            # Pixels are where their centres are.
            jnp.abs((jnp.arange(side, dtype=jnp.float32) + 0.5) / side - centre) < strength / 4
            for side, centre in zip(sides, jax.random.uniform(key, (2,)), strict=True)
        )
        return rows[:, None] & columns[None, :]

    return jnp.where(jax.vmap(covered)(keys)[..., None], 0.0, images)
