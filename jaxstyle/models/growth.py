"""A generator of noise on its way: smaller while it grows, and its statistics once it is saved."""

from typing import Any

import flax
import flax.linen as nn
import jax
import numpy as np

from jaxstyle.models.examples import init_variables, takes_noise

# Samples that the statistics are taken over.
_SAMPLES = 256


def grown(generator: nn.Module, parameters: Any, stage: int | None) -> tuple[nn.Module, Any]:
    """What a growing generator is at a stage: itself, smaller, with the parameters it uses there.

    With stage None, and at the last one, the generator and its parameters as they are.
    """
    if stage is None or 4 * 2**stage == generator.image_size:
        return generator, parameters
    smaller = generator.clone(image_size=4 * 2**stage)
    used = jax.eval_shape(
        lambda key: init_variables(smaller, key, smaller.image_size), jax.random.key(0)
    )
    flat = flax.traverse_util.flatten_dict
    names = flat(used["params"]).keys()
    kept = {name: value for name, value in flat(parameters).items() if name in names}
    return smaller, flax.traverse_util.unflatten_dict(kept)


def standing_statistics(generator: nn.Module, parameters: Any) -> Any:
    """Means and variances that batch norm uses from now on (Brock et al. 2019, "BigGAN").

    Those of one large batch, with the averaged parameters that are saved beside them. Returns a
    nested dict; empty for a generator that has no batch norm.
    """
    if not takes_noise(generator):
        return {}
    variables = jax.eval_shape(
        lambda key: init_variables(generator, key, generator.image_size), jax.random.key(0)
    )
    if "batch_stats" not in variables:
        return {}

    @jax.jit
    def statistics(parameters, noise):
        return generator.apply({"params": parameters}, noise, mutable=["batch_stats"])[1]

    noise = np.random.default_rng(0).standard_normal((_SAMPLES, generator.latent), np.float32)
    return jax.device_get(statistics(parameters, noise)["batch_stats"])
