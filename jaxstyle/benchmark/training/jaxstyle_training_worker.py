"""The worker that takes jaxstyle's own training steps, run as a module."""

import functools
from typing import Any

import jax
import numpy as np

import jaxstyle
from jaxstyle.benchmark.training.recipes import PARTS, arrays_of, random_features, recipe_config
from jaxstyle.benchmark.workers.jaxstyle_worker import flop_count, peak_bytes
from jaxstyle.benchmark.workers.serve import Contestant, serve
from jaxstyle.training import sharding, steps
from jaxstyle.training.networks import build_networks


def prepare(order: dict, frames: np.ndarray) -> Contestant:
    """The step of a recipe as training compiles it, for one device, on a batch that is there.

    order: "recipe", a key of `RECIPES`, and "npz", the file that takes the parameters that it
    starts from. frames: uint8 [3, N, S, S, 3], see `scene_batch`. Each call takes a step; its
    result is the totals of the generator's and of the discriminator's loss before it.
    """
    config = recipe_config(order["recipe"], image_size=frames.shape[2], batch_size=frames.shape[1])
    mesh = sharding.make_mesh(1, config.batch_size)
    networks = build_networks(config)
    pretrained = sharding.replicate(random_features(networks), mesh)
    init = functools.partial(steps.init_state, networks, config)
    state = jax.jit(init, out_shardings=sharding.replicated(mesh))(jax.random.key(config.seed))
    arrays: dict[str, Any] = {**arrays_of(state, pretrained)}
    np.savez(order["npz"], **arrays)
    batch = sharding.split_batch(dict(zip(PARTS, frames, strict=True)), mesh)
    step = functools.partial(
        steps.train_step, networks=networks, config=config, updates=steps.updates_at(0, config)
    )
    program: Any = sharding.parallel_step(step, mesh, "jit")
    lowered = program.lower(state, batch, pretrained)
    compiled = lowered.compile()

    def run() -> dict[str, jax.Array]:
        nonlocal state
        state, metrics = compiled(state, batch, pretrained)
        return jax.block_until_ready(metrics)

    device = mesh.devices.flat[0]
    return Contestant(
        device=run,
        to_numpy=lambda metrics: np.stack([metrics["g/total"], metrics["d/total"]]),
        end_to_end=None,
        facts={
            "platform": device.platform,
            "device": device.device_kind,
            "version": jaxstyle.__version__,
            "parameters": sum(
                leaf.size for leaf in jax.tree.leaves((state.generator, state.discriminators))
            ),
            "flop": flop_count(lowered),
        },
        peak_bytes=lambda: peak_bytes(device),
    )


if __name__ == "__main__":
    # A program from the cache would be no compile time.
    jax.config.update("jax_enable_compilation_cache", False)
    serve(prepare)
