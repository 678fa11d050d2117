"""Progressive growing (Karras et al. 2018, "ProGAN"): networks that begin with 4 x 4 pixels.

At each stage of `config.growth` they double, and what joins fades in. All of it is here: a step
asks `stage_at` which stage it is in, and calls `enter_stage` where there is one; what is saved on
the way is `so_far`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle.losses.palette import block_means
from jaxstyle.models.growth import grown
from jaxstyle.training.objectives.players import Networks

PyTree = Any
TrainState = Any  # that of `steps`, which imports this


@dataclasses.dataclass(frozen=True)
class Growth:
    """How far a progressively growing network has come: a stage, and how much of it (0 to 1)."""

    stage: int
    alpha: jax.Array

    def __call__(self, images: jax.Array) -> jax.Array:
        """Shrinks images [N, S, S, C] to the stage's size, as blurred as its fade-in makes them."""
        side = 4 * 2**self.stage
        images = block_means(images, images.shape[1] // side)
        if self.stage == 0:
            return images
        coarse = block_means(images, 2).repeat(2, axis=1).repeat(2, axis=2)
        return coarse + self.alpha * (images - coarse)


def stage_at(step: int, config: FrozenConfigDict) -> int | None:
    """The stage that the step of this number (from 0) is in; None where nothing grows."""
    begun = [first for first in _first_steps(config) if first <= step]
    return len(begun) - 1 if begun else None


def enter_stage(
    stage: int,
    state: TrainState,
    images: Mapping[str, jax.Array],
    networks: Networks,
    config: FrozenConfigDict,
) -> tuple[TrainState, dict[str, jax.Array], dict[str, Any]]:
    """What a step in this stage begins with: its state, its images, and `Players.options`."""
    if stage:
        state = _forget_moments(state, networks, _first_steps(config)[stage])
    growth = _growth(stage, state.step.astype(jnp.float32) / config.steps, config)
    # The critic sees real images as small and as sharp as fakes are by now.
    images = {**images, "style": growth(images["style"])}
    return state, images, {"growth": (growth.stage, growth.alpha)}


def so_far(
    generator: nn.Module, parameters: PyTree, done: int, config: FrozenConfigDict
) -> tuple[nn.Module, PyTree, dict[str, Any]]:
    """The generator after so many steps: itself, or smaller, with the parameters it uses by then.

    Also returns those of its fields that are then not the config's.
    """
    stage = stage_at(done - 1, config)
    if stage is None:
        return generator, parameters, {}
    generator, parameters = grown(generator, parameters, stage)
    return generator, parameters, {"image_size": generator.image_size}


def is_whole(done: int, config: FrozenConfigDict) -> bool:
    """Whether the networks have all their layers after so many steps."""
    stage = stage_at(done - 1, config)
    return stage is None or stage == len(config.growth.stages) - 1


def _first_steps(config: FrozenConfigDict) -> list[int]:
    """The step at which each stage begins."""
    return [round(start * config.steps) for start in config.growth.stages]


def _growth(stage: int, fraction: jax.Array, config: FrozenConfigDict) -> Growth:
    if stage == 0:
        return Growth(0, jnp.ones(()))
    start, *later = config.growth.stages[stage:]
    end = later[0] if later else 1.0
    alpha = (fraction - start) / (config.growth.fade * (end - start))
    return Growth(stage, jnp.clip(alpha, 0.0, 1.0))


def _forget_moments(state: TrainState, networks: Networks, at_step: int) -> TrainState:
    """At that step, empties the optimizers: they know nothing of the layers that join there.

    As when they began, and not zeroed: Muon's state has constants in it.
    """

    def emptied(optimizer, old, parameters):
        new = optimizer.init(parameters)
        return jax.tree.map(lambda x, y: jnp.where(state.step == at_step, x, y), new, old)

    return state.replace(
        generator_optimizer=emptied(
            networks.generator_optimizer,
            state.generator_optimizer,
            (state.generator, state.helpers),
        ),
        discriminator_optimizer=emptied(
            networks.discriminator_optimizer, state.discriminator_optimizer, state.discriminators
        ),
    )
