"""Where arrays live: batches are split over the devices, the state is on all of them."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxstyle.errors import UserError


def make_mesh(device_count: int, batch_size: int) -> Mesh:
    """A mesh of one axis, 'data', over `device_count` devices; 0 means all there are.

    Raises `UserError` when there are not so many, or they do not divide `batch_size` evenly.
    """
    available = jax.device_count()
    count = device_count or available
    if count > available:
        raise UserError(f"config.devices is {count}, but there are {available} devices")
    if batch_size % count:
        raise UserError(f"config.batch_size={batch_size} is not a multiple of the {count} devices")
    return jax.make_mesh(
        (count,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
    )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a whole copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Splits this process's part of a batch, [n, ...] each, over its devices; returns at once."""
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
