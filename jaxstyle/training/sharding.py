"""Where arrays live: batches are split over the devices, the state is on all of them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxstyle.errors import UserError

AXIS = "data"

# Of YNNPACK's kernels those for products and sums only: its convolutions take two to five times as
# long for the gradients to kernels as XLA's own (jax 0.12, realtime at 128 px: 10 % of a step).
_CPU_OPTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
}


def make_mesh(device_count: int, batch_size: int, accumulation: int = 1) -> Mesh:
    """A mesh of one axis, 'data', over `device_count` devices; 0 means all of all processes.

    Raises `UserError` when there are not so many, when they do not divide each of the
    `accumulation` micro-batches of a batch evenly, or when a process would be left without.
    """
    available = jax.device_count()
    count = device_count or available
    if count > available:
        raise UserError(f"config.devices is {count}, but there are {available} devices")
    if jax.process_count() > 1 and count < available:
        raise UserError(
            f"config.devices is {count}, but the {jax.process_count()} processes have {available} "
            "devices together; leave it at 0, or start fewer processes"
        )
    if batch_size % (count * accumulation):
        parts = f"{count} devices"
        if accumulation > 1:
            parts += f" x {accumulation} micro-batches"
        raise UserError(f"config.batch_size={batch_size} is not a multiple of the {parts}")
    # In this order the processes' devices follow each other, as their rows of a batch do.
    return Mesh(jax.devices()[:count], (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """That of arrays which are whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a whole copy of every array on every device."""
    return jax.device_put(tree, replicated(mesh))


def split_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Splits this process's part of a batch, [n, ...] each, over its devices; returns at once."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}


def parallel_step(step: Callable, mesh: Mesh, parallelism: str) -> Callable:
    """Compiles a step (state, batch, pretrained) -> (state, figures) for all devices of the mesh.

    The state is donated. parallelism: "jit" leaves it to the compiler to split the step as its
    batch is split. "pmap" runs the step on each device's part of the batch, with `axis` as its
    further argument, and the step itself says where the devices exchange what they have.
    """
    if parallelism == "jit":
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        return jax.jit(step, donate_argnums=0, compiler_options=_CPU_OPTIONS if on_cpu else None)
    mapped = jax.pmap(
        functools.partial(step, axis=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=None,
        donate_argnums=0,
        devices=list(mesh.devices.flat),
    )

    def run(state: Any, batch: Mapping[str, jax.Array], pretrained: Any) -> tuple[Any, Any]:
        parts = {k: x.reshape(mesh.size, -1, *x.shape[1:]) for k, x in batch.items()}
        return mapped(state, parts, pretrained)

    return run
