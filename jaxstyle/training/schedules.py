"""Schedules: what a weight or a learning rate is multiplied with, by how far the run is."""

import jax
import jax.numpy as jnp

Schedule = tuple[tuple[float, float], ...]


def schedule_at(fraction: jax.Array, schedule: Schedule) -> jax.Array:
    """Evaluates a schedule, ((fraction of the run, multiplier), ...), at a float32 scalar."""
    at, multiplier = zip(*schedule, strict=True)
    return jnp.interp(fraction, jnp.asarray(at), jnp.asarray(multiplier))
