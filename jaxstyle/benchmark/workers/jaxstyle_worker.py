"""The worker of jaxstyle itself, run as a module."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import DTypeLike

import jaxstyle
from jaxstyle.benchmark.measured_models import first_condition, style_images
from jaxstyle.benchmark.workers.serve import Contestant, normalized, peak_resident_bytes, serve
from jaxstyle.inference.bundle import Bundle, load_bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.models import DTYPES


def prepare(order: dict, frames: np.ndarray) -> Contestant:
    """The generator alone, jitted, and the engine, on JAX's default backend.

    A style is encoded before, and is an argument of both, as in live use.
    """
    bundle = load_bundle(order["bundle"])
    dtype = DTYPES[order["dtype"]]
    generator = bundle.generator.clone(dtype=dtype)
    parameters = jax.device_put(bundle.parameters)
    condition = first_condition(bundle)
    inputs = jax.device_put(
        (normalized(frames),) if condition is None else (normalized(frames), condition)
    )
    apply = jax.jit(lambda parameters, inputs: generator.apply({"params": parameters}, *inputs))
    # What encodes a style is no part of a frame's computation, and of no call's parameters.
    used = jax.eval_shape(generator.init, jax.random.key(0), *inputs)["params"]
    device = jax.devices()[0]
    return Contestant(
        device=lambda: apply(parameters, inputs).block_until_ready(),
        to_numpy=np.asarray,
        end_to_end=_end_to_end(bundle, dtype, frames),
        facts={
            "platform": jax.default_backend(),
            "device": device.device_kind,
            "version": jaxstyle.__version__,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(used)),
            "flop": flop_count(apply.lower(parameters, inputs)),
        },
        peak_bytes=lambda: peak_bytes(device),
    )


def _end_to_end(bundle: Bundle, dtype: DTypeLike, frames: np.ndarray) -> Callable[[], np.ndarray]:
    stylizer = Stylizer(bundle, dtype, style_images(bundle))
    return lambda: np.asarray(stylizer(frames))


def flop_count(lowered: jax.stages.Lowered) -> float:
    """Of the operations as written, before a backend replaces some by calls it cannot count."""
    analysis: Any = lowered.cost_analysis()
    return analysis["flops"]


def peak_bytes(device: jax.Device) -> int:
    """Of the accelerator's memory, or on a CPU, which has no count of its own, of the process."""
    statistics = device.memory_stats() or {}
    return statistics.get("peak_bytes_in_use") or peak_resident_bytes()


if __name__ == "__main__":
    # A program from the cache would be no compile time.
    jax.config.update("jax_enable_compilation_cache", False)
    serve(prepare)
