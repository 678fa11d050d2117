"""Pictures from noise: samples of a generator, walks between them, mixes with a source."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def sample_images(
    generator: nn.Module, parameters: Any, z: jax.Array | np.ndarray, statistics: Any = None
) -> jax.Array:
    """Runs a noise generator: z float32 [N, latent] -> uint8 RGB [N, S, S, 3]. Can be jitted.

    statistics: standing statistics of batch norms ("batch_stats"); without them, those of this
    batch are used.
    """
    images: Any = generator.apply({"params": parameters, "batch_stats": statistics or {}}, z)
    return jnp.round((jnp.clip(images, -1, 1) + 1) * 127.5).astype(jnp.uint8)


def latents(seed: int, first: int, count: int, size: int) -> np.ndarray:
    """Samples number `first` and on of a seed: float32 [count, size], N(0, 1).

    A sample depends on the seed and its own number alone.
    """
    key = jax.random.key(seed)
    numbers = jnp.arange(first, first + count)
    draw = jax.vmap(lambda number: jax.random.normal(jax.random.fold_in(key, number), (size,)))
    return np.asarray(draw(numbers))


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Spherical interpolation (Shoemake 1985) of vectors along the last axis, t from 0 to 1.

    Unlike a straight line it keeps the length of Gaussian vectors, and so stays where the generator
    was trained (White 2016). Where a and b point the same way, or opposite ways, it is the line.
    """
    norms = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(axis=-1, keepdims=True) / np.maximum(norms, np.finfo(np.float32).tiny)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    on_a_line = sine < 1e-3
    sine = np.where(on_a_line, 1, sine)
    share_of_a = np.where(on_a_line, 1 - t, np.sin((1 - t) * angle) / sine)
    share_of_b = np.where(on_a_line, t, np.sin(t * angle) / sine)
    return (share_of_a * a + share_of_b * b).astype(np.float32)


def latent_at(stops: np.ndarray, position: float) -> np.ndarray:
    """Where a closed walk is: [K, N, latent] and a position from 0 to K -> float32 [N, latent].

    At position k it is at stop k, and K is 0 again. It slows down towards the stops and gathers
    speed after them, so that its velocity has no jumps.
    """
    whole = int(position)
    t = position - whole
    eased = t * t * (3 - 2 * t)
    return slerp(stops[whole % len(stops)], stops[(whole + 1) % len(stops)], eased)


def blended(samples: np.ndarray, source: np.ndarray, strength: float) -> np.ndarray:
    """Mixes two batches, uint8 of one shape: strength 0 gives the source, 1 the samples."""
    source = source.astype(np.float32)
    return np.rint(source + strength * (samples - source)).astype(np.uint8)
