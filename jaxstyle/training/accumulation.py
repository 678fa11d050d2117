"""Gradient accumulation: a batch computed in micro-batches, one after another.

What takes memory, the activations, is only ever there for one micro-batch; so a global batch of any
size fits a device. Terms that are means over images come out as those of the whole batch; for those
that compare images with one another see `jaxstyle.training.objectives.batch_comparison`. Batch
norm, and ProGAN's channel of deviations, see a micro-batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any
Metrics = dict[str, jax.Array]
Objective = Callable[[PyTree, PyTree], tuple[jax.Array, tuple[Metrics, PyTree]]]


def mean_gradients(
    objective: Objective, parameters: PyTree, batch: PyTree, *, count: int, axis: str | None
) -> tuple[Metrics, PyTree, PyTree]:
    """The gradients of `objective`: their means over micro-batches, and over a mapped axis.

    objective: (parameters, micro-batch) -> (value, (figures, further results)).
    parameters: what it is differentiated by. batch: arrays [N, ...], N a multiple of `count`.
    count: of micro-batches. axis: the name of an axis of devices that this is mapped over, or None.
    Returns the figures' means, the further results of each micro-batch along a new first axis, and
    the gradients.
    """
    differentiated = jax.value_and_grad(objective, has_aux=True)
    if count == 1:
        (_, (metrics, further)), gradients = differentiated(parameters, batch)
        means = (metrics, gradients)
        further = jax.tree.map(lambda x: x[None], further)
    else:
        parts = _micro_batches(batch, count)

        def add(sums, part):
            (_, (metrics, further)), gradients = differentiated(parameters, part)
            return jax.tree.map(jnp.add, sums, (metrics, gradients)), further

        first = jax.tree.map(lambda x: x[0], parts)
        (_, (metrics, _)), gradients = jax.eval_shape(differentiated, parameters, first)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (metrics, gradients))
        sums, further = jax.lax.scan(add, zeros, parts)
        means = jax.tree.map(lambda x: x / count, sums)
    if axis:
        means = jax.lax.pmean(means, axis)
    metrics, gradients = means
    return metrics, further, gradients


def in_micro_batches(function: Callable[[PyTree], PyTree], batch: PyTree, count: int) -> PyTree:
    """`function` of arrays [N, ...] to such arrays, computed in `count` micro-batches."""
    if count == 1:
        return function(batch)
    return joined(jax.lax.map(function, _micro_batches(batch, count)))


def joined(parts: PyTree) -> PyTree:
    """Puts the micro-batches' results, [count, N / count, ...], back in order: [N, ...]."""
    return jax.tree.map(
        lambda x: x.swapaxes(0, 1).reshape(x.shape[0] * x.shape[1], *x.shape[2:]), parts
    )


def _micro_batches(batch: PyTree, count: int) -> PyTree:
    """[N, ...] -> [count, N / count, ...]: image i is in micro-batch i modulo `count`.

    So that each has images of every device's part of the batch, and none has to move.
    """
    return jax.tree.map(
        lambda x: x.reshape(len(x) // count, count, *x.shape[1:]).swapaxes(0, 1), batch
    )
