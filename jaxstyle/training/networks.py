"""The networks that a config describes, built and initialised."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict

from jaxstyle import features
from jaxstyle.errors import UserError
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.examples import (
    condition_of,
    example_inputs,
    init_parameters,
    takes_features,
    takes_noise,
)
from jaxstyle.models.projection import ProjectionHeads
from jaxstyle.training.objectives import support_tail
from jaxstyle.training.objectives.generator import terms_in_use
from jaxstyle.training.objectives.players import OF_VIEWS, Networks
from jaxstyle.training.objectives.term import Term, layers_seen, named_key
from jaxstyle.training.optimizers import build_optimizer

PyTree = Any


def build_networks(config: FrozenConfigDict) -> Networks:
    """Builds modules and optimizers.

    Raises `UserError` for an unknown name or option, and where networks, losses and data do not
    fit together.
    """
    terms = terms_in_use(config)
    needs = {need for term in terms for need in term.needs}
    generator = build_generator(config.generator)
    discriminators = {
        OF_VIEWS[view]: build_discriminator(config.discriminator)
        for view in config.losses.adversarial.views
    }
    helpers: dict[str, nn.Module] = {}
    if "heads" in needs:
        helpers["heads"] = ProjectionHeads(width=config.losses.patch_nce.width)
    if "difference heads" in needs:
        helpers["difference_heads"] = ProjectionHeads(width=config.losses.ccpl.width)
    if "cycle" in needs:
        helpers["backward"] = build_generator(config.generator)
        discriminators["backward"] = build_discriminator(config.discriminator)
    if "support tail" in needs:
        helpers["support"], discriminators["support"] = support_tail.build(generator, config)
    by_features = any(takes_features(module) for module in discriminators.values())
    sees = layers_seen(terms, config) or by_features
    networks = Networks(
        generator=generator,
        discriminators=discriminators,
        helpers=helpers,
        features=features.describe(config.features.network)[0] if sees else None,
        generator_optimizer=build_optimizer(config.optimizer.generator),
        discriminator_optimizer=build_optimizer(config.optimizer.discriminator),
    )
    _check(networks, terms, config)
    return networks


def _check_needs(networks: Networks, terms: Sequence[Term], config: FrozenConfigDict) -> None:
    """Raises `UserError` if a term in use needs of the generator or the batch what these lack."""
    name, condition = config.generator.name, condition_of(networks.generator)
    noise = takes_noise(networks.generator)
    for term in terms:
        if "content" in term.needs and noise:
            raise UserError(
                f"{term.setting} is about content, and {name} makes pictures of noise; "
                f"set {term.setting}.weight to 0"
            )
        if "cycle" in term.needs and condition is not None:
            raise UserError(f"{term.setting} translates back, which {name} cannot do")
        if "one style" in term.needs and condition is not None:
            raise UserError(f"{term.setting} is for generators of one style, not {name}")
        if "style image" in term.needs and condition != "image":
            raise UserError(f"{term.setting} is for generators that take a style image")


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
    judge, *_ = networks.discriminators.values()
    judges = getattr(judge, "image_size", makes)
    if not config.image_size == makes == judges:
        raise UserError(
            f"config.image_size is {config.image_size}, {name} makes pictures of {makes} pixels "
            f"and its discriminator takes {judges}; give all three the same"
        )


def _check_shown(networks: Networks, config: FrozenConfigDict) -> None:
    """Raises `UserError` if a discriminator cannot judge what it is to be shown."""
    settings = config.losses.adversarial
    altered = {
        "views": tuple(settings.views) != ("color",),
        "augment": bool(settings.augment),
    }
    if any(takes_features(module) for module in networks.discriminators.values()):
        if settings.conditional:
            raise UserError(
                "config.losses.adversarial.conditional shows the content, too, which the "
                f"discriminator {config.discriminator.name} cannot take"
            )
        if "support" in networks.discriminators:
            raise UserError(
                f"the discriminator {config.discriminator.name} cannot judge the grey pictures of "
                "config.losses.support"
            )
    for setting, is_altered in altered.items():
        if is_altered and settings.conditional:
            raise UserError(
                f"config.losses.adversarial.{setting} would change the result and not the content "
                "beside it; do without it, or without config.losses.adversarial.conditional"
            )
    for name in ("backward", "support"):
        if altered["views"] and name in networks.discriminators:
            raise UserError(
                "config.losses.adversarial.views must be ('color',) where there is a cycle or "
                "config.losses.support"
            )


def _check(networks: Networks, terms: Sequence[Term], config: FrozenConfigDict) -> None:
    name, losses, data = config.generator.name, config.losses, config.data
    condition = condition_of(networks.generator)
    judge, *_ = networks.discriminators.values()
    _check_needs(networks, terms, config)
    _check_shown(networks, config)
    if takes_noise(networks.generator):
        _check_noise(networks, config)
    if condition == "styles":
        if networks.generator.styles != len(data.styles):
            raise UserError(
                f"the generator has {networks.generator.styles} styles and config.data.styles "
                f"names {len(data.styles)} sources; it must name one for each"
            )
        judged = getattr(judge, "styles", 1)
        if losses.adversarial.weight > 0 and judged != networks.generator.styles:
            raise UserError(
                f"config.discriminator.styles is {judged}; the generator has "
                f"{networks.generator.styles} styles"
            )
    elif getattr(judge, "styles", 1) > 1:
        raise UserError(f"config.discriminator.styles is more than 1, and {name} has one style")
    elif data.styles:
        raise UserError(f"config.data.styles names several, and {name} has one; give data.style")
    if "backward" in networks.helpers and losses.adversarial.conditional:
        raise UserError("config.losses.adversarial.conditional is for pairs, which a cycle lacks")
    if config.evaluation.every and (takes_noise(networks.generator) or condition == "image"):
        raise UserError(
            f"config.evaluation.every must be 0: what {name} makes is not a content in a style of "
            "the run; jaxstyle.evaluate compares models of any style"
        )
    for module in (networks.generator, judge):
        if config.parallelism == "pmap" and getattr(module, "couples_images", False):
            raise UserError(
                f'config.parallelism="pmap" shows each device a part of the batch, and {name} or '
                'its discriminator compares all of its images with one another; give "jit"'
            )
    if losses.style_contrast.weight > 0 and config.batch_size < 2:
        raise UserError(
            "config.losses.style_contrast tells styles of a batch apart; give it 2 or more"
        )
    grows = getattr(networks.generator, "grows", False)
    if grows != getattr(judge, "grows", False):
        raise UserError(f"{name} and {config.discriminator.name} do not grow alike; give a pair")
    if grows and (losses.adversarial.smooth_weight > 0 or losses.adversarial.grey_weight > 0):
        raise UserError("config.losses.adversarial.smooth_weight and grey_weight must be 0 to grow")
    if bool(config.growth.stages) != grows:
        raise UserError(
            f"config.growth.stages must name when each stage of {name} begins"
            if grows
            else f"config.growth.stages is for generators that grow, and {name} does not"
        )
    seen_through = networks.features
    if seen_through is None:
        return
    if losses.lpips.weight > 0 and seen_through.name != "squeezenet":
        raise UserError(
            'config.losses.lpips sees through config.features.network="squeezenet" only'
        )
    named = {term.setting: layers_seen([term], config) for term in terms}
    if takes_features(judge):
        named["config.discriminator"] = judge.layers
    for setting, layers in named.items():
        if unknown := sorted(set(layers) - set(seen_through.layers)):
            raise UserError(
                f"{setting} names the layer {unknown[0]}; {seen_through.name} has "
                f"{', '.join(seen_through.layers)}"
            )


def init_generator(
    networks: Networks, config: FrozenConfigDict, key: jax.Array
) -> tuple[PyTree, dict[str, PyTree]]:
    """Draws the parameters of the generator, and of what is trained together with it.

    Raises `UserError` if PatchNCE is to compare feature maps that the generator does not have, or
    CCPL some that are too small.
    """
    generator_key, helpers_key = jax.random.split(key)
    generator = init_parameters(networks.generator, generator_key, config.image_size)
    if not networks.helpers:
        return generator, {}
    example = example_inputs(networks.generator, config.image_size)
    maps: Any
    _, maps = networks.generator.apply({"params": generator}, *example, return_features=True)
    helpers: dict[str, PyTree] = {}
    for name, module in networks.helpers.items():
        key = named_key(helpers_key, name)
        match name:
            case "heads":
                chosen = _chosen_features(maps, config.losses.patch_nce.layers)
                positions = tuple(jnp.zeros(1, jnp.int32) for _ in chosen)
                helpers[name] = module.init(key, chosen, positions)["params"]
            case "difference_heads":
                layers = config.losses.ccpl.layers
                x = jnp.zeros((1, config.image_size, config.image_size, 3))
                seen = _example_maps(config.features.network, layers, x)
                if small := [k for k in layers if min(seen[k].shape[1:3]) < 3]:
                    raise UserError(
                        f"config.losses.ccpl compares neighbours, and the layer {small[0]} has "
                        f"less than 3x3 of images of {config.image_size} pixels; name a shallower "
                        "one"
                    )
                differences = tuple(jnp.zeros((1, 1, 8, seen[k].shape[-1])) for k in layers)
                every = tuple(jnp.arange(8) for _ in layers)
                helpers[name] = module.init(key, differences, every)["params"]
            case "backward":
                helpers[name] = init_parameters(module, key, config.image_size)
            case "support":
                helpers[name] = module.init(key, maps)["params"]
    return generator, helpers


def _chosen_features(maps: tuple[jax.Array, ...], layers: tuple[int, ...]) -> tuple[jax.Array, ...]:
    if not 0 <= min(layers) <= max(layers) < len(maps):
        raise UserError(
            f"config.losses.patch_nce.layers is {layers}; this generator has feature maps 0 to "
            f"{len(maps) - 1}"
        )
    return tuple(maps[i] for i in layers)


def init_discriminators(
    networks: Networks, config: FrozenConfigDict, key: jax.Array
) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Draws the discriminators' parameters; returns them and what each keeps beside them.

    That is its spectral norm estimates and its fixed mixing of features, or nothing.
    """
    parameters, stats = {}, {}
    for name, module in networks.discriminators.items():
        channels = 6 if config.losses.adversarial.conditional else 3
        if name == "support":
            channels = 1
        example: Any = jnp.zeros((1, config.image_size, config.image_size, channels))
        if takes_features(module):
            example = _example_maps(config.features.network, module.layers, example)
        variables = module.init(named_key(key, name), example)
        parameters[name] = variables["params"]
        stats[name] = variables.get("batch_stats", {})
    return parameters, stats


def _example_maps(name: str, layers: tuple[str, ...], image: jax.Array) -> dict[str, jax.Array]:
    """Feature maps of an image as the network `name` has them, by layer, but all zero."""
    network, parameters = features.describe(name)
    maps = jax.eval_shape(lambda p, x: network.apply(p, x, layers), parameters, image)
    return {layer: jnp.zeros(leaf.shape, leaf.dtype) for layer, leaf in maps.items()}
