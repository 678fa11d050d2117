"""The recipes whose steps are measured, and what every contestant starts from."""

import importlib.util
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle import features
from jaxstyle.data.augment import smooth_edges
from jaxstyle.data.scenes import shot
from jaxstyle.errors import UserError
from jaxstyle.training.objectives.players import Networks
from jaxstyle.training.steps import TrainState

# The recipe's file in configs/, by the name of its generator.
RECIPES = {"realtime": "anime.py", "animegan2": "animegan2.py"}
_CONFIGS = Path(__file__).parents[3] / "configs"

# The parts of a batch, in the order in which they are stacked for the contestants.
PARTS = ("content", "style", "style_smooth")


def recipe_config(name: str, *, image_size: int, batch_size: int) -> FrozenConfigDict:
    """The recipe with these sizes, as it is once its initial steps are over.

    name: a key of `RECIPES`. Raises `UserError` for another one, and outside of a checkout.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe for {name!r}; there are: {', '.join(RECIPES)}")
    path = _CONFIGS / RECIPES[name]
    if not path.is_file():
        raise UserError(f"there is no {path}: the recipes are in a checkout of jaxstyle only")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config: ConfigDict = module.get_config()
    config.image_size, config.batch_size, config.initial_steps = image_size, batch_size, 0
    return FrozenConfigDict(config)


def random_features(networks: Networks) -> dict[str, Any]:
    """Parameters, by `steps.train_step`'s name, for the network that perceptual terms see through.

    Random kernels, which keep the scale of what they are given; empty without such terms.
    """
    if networks.features is None:
        return {}
    _, shapes = features.describe(networks.features.name)
    rng = np.random.default_rng(0)

    def drawn(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if leaf.ndim == 1:
            return jnp.zeros(leaf.shape)
        scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
        return jnp.asarray(scale * rng.standard_normal(leaf.shape), jnp.float32)

    return {"features": jax.tree.map(drawn, shapes)}


def arrays_of(state: TrainState, pretrained: dict[str, Any]) -> dict[str, np.ndarray]:
    """All parameters that a peer starts from, float32 by path, such as "generator/stem/kernel".

    "generator", "heads" (the helpers' networks each by its name), "discriminator" and "features";
    "discriminator/conv0/u" is the estimate of that kernel's singular vector.
    """
    (judge,), (stats,) = state.discriminators.values(), state.discriminator_stats.values()
    tree = {"generator": state.generator, **state.helpers, "discriminator": judge, **pretrained}
    arrays = flax.traverse_util.flatten_dict(jax.device_get(tree), sep="/")
    # Nothing looks further than AnimeGAN does.
    arrays = {path: value for path, value in arrays.items() if "/conv5_" not in path}
    for estimates in jax.device_get(stats).values():
        for path, value in estimates.items():
            if path.endswith("/u"):
                arrays[f"discriminator/{path.replace('/kernel/', '/')}"] = value
    return arrays


def scene_batch(config: FrozenConfigDict) -> np.ndarray:
    """A batch of the embedded scenes, uint8 [3, N, S, S, 3]: the `PARTS`, stacked."""
    size = (config.image_size, config.image_size)
    content = [shot.frame("photo", i, size) for i in range(config.batch_size)]
    style = [shot.frame("cel", i, size) for i in range(config.batch_size)]
    return np.stack([content, style, [smooth_edges(image) for image in style]])
