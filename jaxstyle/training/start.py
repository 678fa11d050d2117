"""The generator that training starts from, `config.start`, in place of random weights."""

from typing import Any

import flax
import jax
from ml_collections import FrozenConfigDict

from jaxstyle.errors import UserError
from jaxstyle.inference.open_model import open_model
from jaxstyle.models.branches import fold
from jaxstyle.models.examples import init_parameters
from jaxstyle.training.objectives.players import Networks

PyTree = Any


def load_start(networks: Networks, config: FrozenConfigDict) -> PyTree:
    """The parameters of the generator of `config.start`, its branches folded; float32.

    Raises `UserError` if there is no such bundle, or its generator is not that of
    `config.generator`.
    """
    bundle = open_model(config.start)
    name, wanted = bundle.metadata["generator"]["name"], config.generator.name
    if name != wanted:
        raise UserError(
            f"config.start is {config.start}, a generator of {name}, and config.generator is "
            f"{wanted}; give both the same"
        )

    def folded(key: jax.Array) -> PyTree:
        drawn = init_parameters(networks.generator, key, config.image_size)
        return fold(networks.generator, drawn)[1]

    shapes = jax.eval_shape(folded, jax.random.key(0))
    flatten = flax.traverse_util.flatten_dict
    expected = {path: leaf.shape for path, leaf in flatten(shapes, sep="/").items()}
    found = {path: leaf.shape for path, leaf in flatten(bundle.parameters, sep="/").items()}
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            raise UserError(
                f"config.start is {config.start}, whose {path} is {found.get(path, 'missing')}; "
                f"that of config.generator is {expected.get(path, 'missing')}: give its fields "
                "the values that the model was trained with"
            )
    return bundle.parameters


def started_from(drawn: PyTree, start: PyTree) -> PyTree:
    """The parameters `drawn`, with those of `start` in their places; both nested dicts.

    Branches of convolutions, of which `start` has none, are left as they are drawn: they begin by
    adding nothing.
    """
    flatten = flax.traverse_util.flatten_dict
    return flax.traverse_util.unflatten_dict({**flatten(drawn), **flatten(start)})
