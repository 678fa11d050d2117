"""What each kind of generator is called with, by example: how their parameters come into being.

A generator says of itself what it takes: `takes` is "image" (the default) or "noise"; `condition`
is None (the default), "styles" (a weight for each of its `styles`) or "image" (what its method
`encode_style` makes of style images).
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp


def takes_noise(generator: nn.Module | type[nn.Module]) -> bool:
    """Whether it makes images from noise, float32 [N, latent], instead of from images."""
    return getattr(generator, "takes", "image") == "noise"


def takes_features(discriminator: nn.Module) -> bool:
    """Whether it judges feature maps, of the layers that it names, instead of images."""
    return getattr(discriminator, "takes", "image") == "features"


def condition_of(generator: nn.Module) -> str | None:
    """What it is told about the style besides the image: None, "styles" or "image"."""
    return getattr(generator, "condition", None)


def example_inputs(generator: nn.Module, image_size: int) -> tuple[Any, ...]:
    """What `generator.init(key, *these)` takes after the key: float32 zeros, for one image.

    (x,) with x [1, image_size, image_size, 3]; (x, condition) for a conditioned generator; (z,)
    with z [1, latent] for one of noise, whose image size is its own. image_size: a multiple of the
    generator's stride.
    """
    if takes_noise(generator):
        return (jnp.zeros((1, generator.latent)),)
    x = jnp.zeros((1, image_size, image_size, 3))
    condition = condition_of(generator)
    if condition is None:
        return (x,)
    if condition == "styles":
        return x, jnp.zeros((1, generator.styles))
    shapes, _ = jax.eval_shape(_encode_style(generator), jax.random.key(0), x)
    return x, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def init_variables(generator: nn.Module, key: jax.Array, image_size: int) -> Mapping[str, Any]:
    """All that the generator starts with: {"params": ...}, and "batch_stats" if it has any.

    key: a PRNG key. image_size: as for `example_inputs`. A pure function, to be traced as well.
    """
    inputs = example_inputs(generator, image_size)
    variables = generator.init(key, *inputs)
    if condition_of(generator) == "image":
        # A call takes styles that are encoded already, and never meets the encoder's parameters.
        _, encoder = _encode_style(generator)(key, inputs[0])
        flat = flax.traverse_util.flatten_dict
        variables = flax.traverse_util.unflatten_dict({**flat(encoder), **flat(variables)})
    return variables


def init_parameters(generator: nn.Module, key: jax.Array, image_size: int) -> Any:
    """The "params" of `init_variables`: all that training changes."""
    return init_variables(generator, key, image_size)["params"]


def _encode_style(generator: nn.Module) -> Callable[..., Any]:
    """f(key, style images) -> (condition, variables)."""
    return lambda key, style: generator.init_with_output(key, style, method="encode_style")
