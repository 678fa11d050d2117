"""Terms that compare the images of a batch with one another.

Such a term is a function of small representations of all images: `represent` makes them, image by
image, and `compare` takes those of the whole batch, however it is spread. Over devices that map the
step, they are gathered. Over micro-batches, they are computed once for all without keeping
activations; the gradient with respect to them then stands for the term where each micro-batch is
differentiated (gradient caching, Gao et al. 2021). So a term is the same in both.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jaxstyle.losses import contrastive
from jaxstyle.losses.palette import palette_distance
from jaxstyle.losses.patches import patch_distance
from jaxstyle.training.accumulation import in_micro_batches
from jaxstyle.training.objectives.outputs import (
    Images,
    Outputs,
    Players,
    mean_pooled,
    run_generators,
)

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Comparison:
    """represent: (players, outputs, images, settings) -> a pytree of arrays [N, ...].

    compare: (representations of the whole batch, settings, key) -> float32 scalar.
    """

    represent: Callable[[Players, Outputs, Images, Any], PyTree]
    compare: Callable[[PyTree, Any, jax.Array], jax.Array]


@flax.struct.dataclass
class Compared:
    """A term on the whole batch, in arrays that can be split with the images.

    value: float32 [N], the same for all. gradient: that by these images' representations, [N, ...].
    """

    value: jax.Array
    gradient: PyTree


def compare_at_once(
    term: Comparison,
    players: Players,
    outputs: Outputs,
    images: Images,
    settings: Any,
    key: jax.Array,
) -> jax.Array:
    """The term, where all of this device's images are differentiated together."""
    representations = term.represent(players, outputs, images, settings)
    return term.compare(players.gather(representations), settings, key)


def compare_beforehand(
    terms: Mapping[str, Comparison], players: Players, images: Images, keys: Mapping[str, jax.Array]
) -> dict[str, Compared]:
    """The terms on the whole batch, computed in micro-batches; `keys` by the terms' names."""
    config = players.config
    if not terms:
        return {}

    def represent(part):
        outputs = run_generators(players, part)
        return {
            name: term.represent(players, outputs, part, config.losses[name])
            for name, term in terms.items()
        }

    representations = players.gather(in_micro_batches(represent, images, config.accumulation))
    rows = images["index"]
    compared = {}
    for name, term in terms.items():
        value, gradient = jax.value_and_grad(term.compare)(
            representations[name], config.losses[name], keys[name]
        )
        mine = jax.tree.map(lambda x: x[rows], gradient)
        compared[name] = Compared(jnp.full(rows.shape, value), mine)
    return compared


def stand_in(
    term: Comparison,
    compared: Compared,
    players: Players,
    outputs: Outputs,
    images: Images,
    settings: Any,
) -> jax.Array:
    """In a micro-batch: the value on the whole batch, with this micro-batch's part of the gradient.

    Gradients are averaged over micro-batches and devices; those of the parts of one sum have to be
    added up.
    """
    parts = players.config.accumulation
    if players.axis:
        parts *= jax.lax.axis_size(players.axis)
    representations = term.represent(players, outputs, images, settings)
    products = jax.tree.map(lambda x, g: (x * g).sum(), representations, compared.gradient)
    linear = parts * sum(jax.tree.leaves(products))
    return compared.value.mean() + linear - jax.lax.stop_gradient(linear)


def _palettes(players, outputs, images, settings):
    style = players.growth(images["style"]) if players.growth else images["style"]
    return mean_pooled(outputs.fake, settings.block), mean_pooled(style, settings.block)


def _palette_distance(palettes, settings, key):
    return palette_distance(*palettes, key, block=1)


def _pictures(players, outputs, images, settings):
    return outputs.fake, images["style"]


def _patch_distance(pictures, settings, key):
    return patch_distance(*pictures, key, projections=settings.projections)


def _style_codes(players, outputs, images, settings):
    (code,) = outputs.condition
    return players.encode_style(outputs.fake), code


def _code_contrast(codes, settings, key):
    """The result's style code is nearer that of its own style image than those of the others."""
    return contrastive.code_contrast(*codes)


PALETTE = Comparison(_palettes, _palette_distance)
PATCHES = Comparison(_pictures, _patch_distance)
STYLE_CONTRAST = Comparison(_style_codes, _code_contrast)
