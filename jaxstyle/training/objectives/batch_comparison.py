"""Terms that compare the images of a batch with one another.

Such a term is a function of small representations of all images: `represent` makes them, image by
image, and `compare` takes those of the whole batch, however it is spread. Over devices that map the
step, they are gathered. Over micro-batches, they are computed once for all without keeping
activations; the gradient with respect to them then stands for the term where each micro-batch is
differentiated (gradient caching, Gao et al. 2021). So a term is the same in both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jaxstyle.training.accumulation import in_micro_batches
from jaxstyle.training.objectives.outputs import run_generators, see_results
from jaxstyle.training.objectives.players import Images, Outputs, Players
from jaxstyle.training.objectives.term import Term, layers_seen, named_key

PyTree = Any


@flax.struct.dataclass
class Compared:
    """A term on the whole batch, in arrays that can be split with the images.

    value: float32 [N], the same for all. gradient: that by these images' representations, [N, ...].
    """

    value: jax.Array
    gradient: PyTree


def compare_at_once(
    term: Term, players: Players, outputs: Outputs, images: Images, key: jax.Array
) -> jax.Array:
    """The term, where all of this device's images are differentiated together."""
    settings = term.settings(players.config)
    representations = term.comparison.represent(players, outputs, images, settings)
    return term.comparison.compare(players.gather(representations), settings, key)


def compare_beforehand(
    terms: Sequence[Term], players: Players, images: Images, key: jax.Array
) -> dict[str, Compared]:
    """The terms on the whole batch by their names, computed in micro-batches."""
    config = players.config
    if not terms:
        return {}
    settings = {term.name: term.settings(config) for term in terms}

    def represent(part):
        outputs = see_results(players, run_generators(players, part), layers_seen(terms, config))
        return {
            term.name: term.comparison.represent(players, outputs, part, settings[term.name])
            for term in terms
        }

    representations = players.gather(in_micro_batches(represent, images, config.accumulation))
    rows = images["index"]
    compared = {}
    for term in terms:
        value, gradient = jax.value_and_grad(term.comparison.compare)(
            representations[term.name], settings[term.name], named_key(key, term.name)
        )
        mine = jax.tree.map(lambda x: x[rows], gradient)
        compared[term.name] = Compared(jnp.full(rows.shape, value), mine)
    return compared


def stand_in(
    term: Term, compared: Mapping[str, Compared], players: Players, outputs: Outputs, images: Images
) -> jax.Array:
    """In a micro-batch: the value on the whole batch, with this micro-batch's part of the gradient.

    Gradients are averaged over micro-batches and devices; those of the parts of one sum have to be
    added up.
    """
    parts = players.config.accumulation
    if players.axis:
        parts *= jax.lax.axis_size(players.axis)
    whole, settings = compared[term.name], term.settings(players.config)
    representations = term.comparison.represent(players, outputs, images, settings)
    products = jax.tree.map(lambda x, g: (x * g).sum(), representations, whole.gradient)
    linear = parts * sum(jax.tree.leaves(products))
    return whole.value.mean() + linear - jax.lax.stop_gradient(linear)
