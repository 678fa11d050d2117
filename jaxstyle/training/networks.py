"""The networks that a config describes, built and initialised."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import FrozenConfigDict

from jaxstyle import features
from jaxstyle.errors import UserError
from jaxstyle.features import FeatureNetwork
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.animegan3 import AnimeGan3, AnimeGan3Tail
from jaxstyle.models.examples import (
    condition_of,
    example_inputs,
    init_parameters,
    takes_noise,
)
from jaxstyle.models.projection import ProjectionHeads
from jaxstyle.training.objectives.kinds import KINDS, Kind
from jaxstyle.training.optimizers import build_optimizer

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Networks:
    """The modules and optimizers that a config describes; holds no arrays.

    discriminators: "main" judges the generator's results; "backward", in a cycle, those of the
    second generator, and "support" those of AnimeGANv3's second tail. helpers are trained together
    with the generator and not needed after it: PatchNCE's "heads", the "backward" generator of a
    cycle, the "support" tail. features: the pretrained network that perceptual terms see through.

    The optimizers give directions only. How far to go depends on the step of the run, which they
    cannot know: they count their own updates.
    """

    generator: nn.Module
    discriminators: Mapping[str, nn.Module]
    helpers: Mapping[str, nn.Module]
    features: FeatureNetwork | None
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation


def build_networks(config: FrozenConfigDict) -> Networks:
    """Builds modules and optimizers.

    Raises `UserError` for an unknown name or option, and where networks, losses and data do not
    fit together.
    """
    losses = config.losses
    generator = build_generator(config.generator)
    discriminators = {"main": build_discriminator(config.discriminator)}
    helpers: dict[str, nn.Module] = {}
    if losses.patch_nce.weight > 0:
        helpers["heads"] = ProjectionHeads(width=losses.patch_nce.width)
    if losses.cycle.weight > 0:
        helpers["backward"] = build_generator(config.generator)
        discriminators["backward"] = build_discriminator(config.discriminator)
    if losses.support.weight > 0:
        if not isinstance(generator, AnimeGan3):
            raise UserError("config.losses.support is for the generator animegan3 only")
        helpers["support"] = AnimeGan3Tail(dtype=generator.dtype)
        discriminators["support"] = build_discriminator(config.discriminator)
    sees = any(kind.sees and losses[name].weight > 0 for name, kind in _kinds(losses))
    networks = Networks(
        generator=generator,
        discriminators=discriminators,
        helpers=helpers,
        features=features.describe(config.features.network)[0] if sees else None,
        generator_optimizer=build_optimizer(config.optimizer.generator),
        discriminator_optimizer=build_optimizer(config.optimizer.discriminator),
    )
    _check(networks, config)
    return networks


def _kinds(losses: FrozenConfigDict) -> list[tuple[str, Kind]]:
    return [(name, KINDS[name]) for name in losses if name in KINDS]


def _check_noise(networks: Networks, config: FrozenConfigDict) -> None:
    name, data = config.generator.name, config.data
    content = {
        "initial_steps": config.initial_steps,
        "data.paired": data.paired,
        "data.teacher": data.teacher,
        "data.guides": data.guides,
        "data.content_sides": data.content_sides,
        "data.noise": data.noise,
        "losses.adversarial.conditional": config.losses.adversarial.conditional,
    }
    for setting, value in content.items():
        if value:
            raise UserError(
                f"config.{setting} is about content, and {name} makes pictures of noise"
            )
    makes = networks.generator.image_size
    judges = getattr(networks.discriminators["main"], "image_size", makes)
    if not config.image_size == makes == judges:
        raise UserError(
            f"config.image_size is {config.image_size}, {name} makes pictures of {makes} pixels "
            f"and its discriminator takes {judges}; give all three the same"
        )


def _check(networks: Networks, config: FrozenConfigDict) -> None:
    name, losses, data = config.generator.name, config.losses, config.data
    condition = condition_of(networks.generator)
    if takes_noise(networks.generator):
        for term, kind in _kinds(losses):
            if kind.on_content and losses[term].weight > 0:
                raise UserError(
                    f"config.losses.{term} is about content, and {name} makes pictures of noise; "
                    f"set config.losses.{term}.weight to 0"
                )
        _check_noise(networks, config)
    if condition == "styles":
        if networks.generator.styles != len(data.styles):
            raise UserError(
                f"the generator has {networks.generator.styles} styles and config.data.styles "
                f"names {len(data.styles)} sources; it must name one for each"
            )
        judged = getattr(networks.discriminators["main"], "styles", 1)
        if losses.adversarial.weight > 0 and judged != networks.generator.styles:
            raise UserError(
                f"config.discriminator.styles is {judged}; the generator has "
                f"{networks.generator.styles} styles"
            )
    elif getattr(networks.discriminators["main"], "styles", 1) > 1:
        raise UserError(f"config.discriminator.styles is more than 1, and {name} has one style")
    elif data.styles:
        raise UserError(f"config.data.styles names several, and {name} has one; give data.style")
    if losses.cycle.weight > 0 and losses.adversarial.conditional:
        raise UserError("config.losses.adversarial.conditional is for pairs, which a cycle lacks")
    if losses.cycle.weight > 0 and condition is not None:
        raise UserError(f"config.losses.cycle translates back, which {name} cannot do")
    if losses.identity.weight > 0 and condition is not None:
        raise UserError(f"config.losses.identity is for generators of one style, not {name}")
    if config.evaluation.every and (takes_noise(networks.generator) or condition == "image"):
        raise UserError(
            f"config.evaluation.every must be 0: what {name} makes is not a content in a style of "
            "the run; jaxstyle.evaluate compares models of any style"
        )
    for module in (networks.generator, networks.discriminators["main"]):
        if config.parallelism == "pmap" and getattr(module, "couples_images", False):
            raise UserError(
                f'config.parallelism="pmap" shows each device a part of the batch, and {name} or '
                'its discriminator compares all of its images with one another; give "jit"'
            )
    if losses.smoothed_support.weight > 0 and losses.support.weight == 0:
        raise UserError("config.losses.smoothed_support needs config.losses.support")
    if losses.style_contrast.weight > 0 and condition != "image":
        raise UserError("config.losses.style_contrast is for generators that take a style image")
    if losses.style_contrast.weight > 0 and config.batch_size < 2:
        raise UserError(
            "config.losses.style_contrast tells styles of a batch apart; give it 2 or more"
        )
    grows = getattr(networks.generator, "grows", False)
    if grows != getattr(networks.discriminators["main"], "grows", False):
        raise UserError(f"{name} and {config.discriminator.name} do not grow alike; give a pair")
    if grows and (losses.adversarial.smooth_weight > 0 or losses.adversarial.grey_weight > 0):
        raise UserError("config.losses.adversarial.smooth_weight and grey_weight must be 0 to grow")
    if bool(config.growth.stages) != grows:
        raise UserError(
            f"config.growth.stages must name when each stage of {name} begins"
            if grows
            else f"config.growth.stages is for generators that grow, and {name} does not"
        )
    if losses.lpips.weight > 0 and networks.features.name != "squeezenet":
        raise UserError(
            'config.losses.lpips sees through config.features.network="squeezenet" only'
        )
    seen = {
        "perceptual": losses.perceptual.layers,
        "gram": losses.gram.layers,
        "statistics": losses.statistics.layers,
        "support": (*losses.support.gram_layers, losses.support.layer),
    }
    for term, layers in seen.items():
        unknown = losses[term].weight > 0 and sorted(set(layers) - set(networks.features.layers))
        if unknown:
            raise UserError(
                f"config.losses.{term} names the layer {unknown[0]}; {networks.features.name} has "
                f"{', '.join(networks.features.layers)}"
            )


def init_generator(
    networks: Networks, config: FrozenConfigDict, key: jax.Array
) -> tuple[PyTree, dict[str, PyTree]]:
    """Draws the parameters of the generator, and of what is trained together with it.

    Raises `UserError` if PatchNCE is to compare feature maps that the generator does not have.
    """
    generator_key, helpers_key = jax.random.split(key)
    generator = init_parameters(networks.generator, generator_key, config.image_size)
    if not networks.helpers:
        return generator, {}
    example = example_inputs(networks.generator, config.image_size)
    _, maps = networks.generator.apply({"params": generator}, *example, return_features=True)
    helpers = {}
    for i, (name, module) in enumerate(networks.helpers.items()):
        key = jax.random.fold_in(helpers_key, i)
        match name:
            case "heads":
                chosen = _chosen_features(maps, config.losses.patch_nce.layers)
                positions = tuple(jnp.zeros(1, jnp.int32) for _ in chosen)
                helpers[name] = module.init(key, chosen, positions)["params"]
            case "backward":
                helpers[name] = init_parameters(module, key, config.image_size)
            case "support":
                helpers[name] = module.init(key, maps)["params"]
    return generator, helpers


def _chosen_features(maps: tuple[jax.Array, ...], layers: tuple[int, ...]):
    if not 0 <= min(layers) <= max(layers) < len(maps):
        raise UserError(
            f"config.losses.patch_nce.layers is {layers}; this generator has feature maps 0 to "
            f"{len(maps) - 1}"
        )
    return tuple(maps[i] for i in layers)


def init_discriminators(
    networks: Networks, config: FrozenConfigDict, key: jax.Array
) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Draws the discriminators' parameters; returns them and their spectral norm estimates."""
    parameters, stats = {}, {}
    for i, (name, module) in enumerate(networks.discriminators.items()):
        channels = 6 if config.losses.adversarial.conditional else 3
        if name == "support":
            channels = 1
        example = jnp.zeros((1, config.image_size, config.image_size, channels))
        variables = module.init(jax.random.fold_in(key, i), example)
        parameters[name] = variables["params"]
        stats[name] = variables.get("batch_stats", {})
    return parameters, stats
