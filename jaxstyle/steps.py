"""One training step, as pure functions of arrays.

The state and a batch go in, the next state and the step's figures come out. Which networks a step
updates, and which terms it has, are static: `updates_at` says it for a step, and each combination
is compiled once.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import FrozenConfigDict

from jaxstyle.data.augment import color_jitter, random_flip, to_float
from jaxstyle.errors import UserError
from jaxstyle.losses import adversarial, color, contrastive, temporal
from jaxstyle.losses.palette import palette_distance
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.projection import ProjectionHeads

PyTree = Any
Batch = Mapping[str, jax.Array]
Terms = dict[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """Everything that training changes.

    generator, heads, discriminator: parameters, nested dicts of float32. discriminator_stats: its
    spectral norm estimates, or empty. ema: the running average of the generator's parameters.
    step: int32 scalar, how many steps were taken. key: the run's PRNG key, which never changes;
    each step folds its number in.
    """

    step: jax.Array
    generator: PyTree
    heads: PyTree
    discriminator: PyTree
    discriminator_stats: PyTree
    ema: PyTree
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Networks:
    """The modules and optimizers that a config describes; holds no arrays.

    The optimizers give directions only. How far to go depends on the step of the run, which they
    cannot know: they count their own updates.
    """

    generator: nn.Module
    discriminator: nn.Module
    heads: ProjectionHeads
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation


@dataclasses.dataclass(frozen=True)
class Updates:
    """What one step does. Without `adversarial` the generator only learns to reproduce."""

    generator: bool
    discriminator: bool
    adversarial: bool
    r1: bool


def updates_at(step: int, config: FrozenConfigDict) -> Updates:
    """Returns what the step of this number (from 0) does under the config."""
    if step < config.initial_steps:
        return Updates(generator=True, discriminator=False, adversarial=False, r1=False)
    has_adversary = config.losses.adversarial.weight > 0
    discriminator = has_adversary and step % config.discriminator_every == 0
    r1 = config.losses.r1
    return Updates(
        generator=step % config.generator_every == 0,
        discriminator=discriminator,
        adversarial=True,
        r1=discriminator and r1.weight > 0 and step // config.discriminator_every % r1.every == 0,
    )


def schedule_at(fraction: jax.Array, schedule: tuple[tuple[float, float], ...]) -> jax.Array:
    """Evaluates a schedule, ((fraction of the run, multiplier), ...), at a float32 scalar."""
    at, multiplier = zip(*schedule, strict=True)
    return jnp.interp(fraction, jnp.asarray(at), jnp.asarray(multiplier))


def build_networks(config: FrozenConfigDict) -> Networks:
    """Builds modules and optimizers. Raises `UserError` for an unknown name or option."""

    def adam(settings):
        return optax.scale_by_adam(b1=settings.b1, b2=settings.b2)

    return Networks(
        generator=build_generator(config.generator),
        discriminator=build_discriminator(config.discriminator),
        heads=ProjectionHeads(width=config.losses.patch_nce.width),
        generator_optimizer=adam(config.optimizer.generator),
        discriminator_optimizer=adam(config.optimizer.discriminator),
    )


def init_state(networks: Networks, config: FrozenConfigDict, key: jax.Array) -> TrainState:
    """Draws the initial parameters from `key`, a typed PRNG key.

    Raises `UserError` if PatchNCE is to compare feature maps that the generator does not have.
    """
    generator_key, discriminator_key, heads_key, run_key = jax.random.split(key, 4)
    example = jnp.zeros((1, config.image_size, config.image_size, 3))
    generator = networks.generator.init(generator_key, example)["params"]
    discriminator = networks.discriminator.init(discriminator_key, example)
    heads = {}
    if config.losses.patch_nce.weight > 0:
        _, features = networks.generator.apply({"params": generator}, example, return_features=True)
        layers = config.losses.patch_nce.layers
        if not layers or not 0 <= min(layers) <= max(layers) < len(features):
            raise UserError(
                f"config.losses.patch_nce.layers is {layers}; this generator has feature maps 0 to "
                f"{len(features) - 1}"
            )
        features = tuple(features[i] for i in layers)
        positions = tuple(jnp.zeros(1, jnp.int32) for _ in features)
        heads = networks.heads.init(heads_key, features, positions)["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        heads=heads,
        discriminator=discriminator["params"],
        discriminator_stats=discriminator.get("batch_stats", {}),
        # A copy: the step donates its input, and one buffer cannot be donated twice.
        ema=jax.tree.map(jnp.copy, generator),
        generator_optimizer=networks.generator_optimizer.init((generator, heads)),
        discriminator_optimizer=networks.discriminator_optimizer.init(discriminator["params"]),
        key=run_key,
    )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    networks: Networks,
    config: FrozenConfigDict,
    updates: Updates,
) -> tuple[TrainState, Terms]:
    """Takes one step: both networks are updated from the same output of the generator.

    batch: "content" and "style", uint8 [N, S, S, 3], and "style_smooth" of the same shape where
    edge-smoothed negatives are on. Returns the next state and float32 scalars: each term of each
    loss before its weight ("g/patch_nce"), the weighted totals and the gradients' norms.
    """
    augment_key, terms_key, penalty_key = jax.random.split(
        jax.random.fold_in(state.key, state.step), 3
    )
    images = _augment(batch, augment_key, config)
    changes: dict[str, Any] = {"step": state.step + 1}
    figures: Terms = {}
    if updates.generator:
        fake, change, figure = _update_generator(
            state, images, terms_key, networks, config, updates.adversarial
        )
        changes |= change
        figures |= {f"g/{name}": value for name, value in figure.items()}
    else:
        fake = networks.generator.apply({"params": state.generator}, images["content"])
    if updates.discriminator:
        change, figure = _update_discriminator(
            state, images, fake, penalty_key, networks, config, updates.r1
        )
        changes |= change
        figures |= {f"d/{name}": value for name, value in figure.items()}
    return state.replace(**changes), figures


def _fraction(state: TrainState, config: FrozenConfigDict) -> jax.Array:
    return state.step.astype(jnp.float32) / config.steps


def _update_generator(
    state: TrainState,
    images: Mapping[str, jax.Array],
    key: jax.Array,
    networks: Networks,
    config: FrozenConfigDict,
    use_adversarial: bool,
) -> tuple[jax.Array, dict[str, Any], Terms]:
    """Returns the generator's output before the update, the fields that change, and figures."""
    fraction = _fraction(state, config)

    def objective(parameters):
        terms, fake = _generator_terms(
            parameters, state, images, key, networks, config, use_adversarial
        )
        return _weighted_sum(terms, config, fraction), (terms, fake)

    parameters = (state.generator, state.heads)
    (total, (terms, fake)), gradients = jax.value_and_grad(objective, has_aux=True)(parameters)
    (generator, heads), optimizer = _apply_gradients(
        networks.generator_optimizer,
        _learning_rate(config.optimizer.generator, fraction),
        gradients,
        state.generator_optimizer,
        parameters,
    )
    # While the average is young it must not be dominated by the initial parameters.
    count = state.step.astype(jnp.float32)
    decay = jnp.minimum(config.ema_decay, (1 + count) / (10 + count))
    changes = {
        "generator": generator,
        "heads": heads,
        "ema": jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), state.ema, generator),
        "generator_optimizer": optimizer,
    }
    return fake, changes, {**terms, "total": total, "gradient_norm": optax.tree.norm(gradients)}


def _update_discriminator(
    state: TrainState,
    images: Mapping[str, jax.Array],
    fake: jax.Array,
    key: jax.Array,
    networks: Networks,
    config: FrozenConfigDict,
    use_r1: bool,
) -> tuple[dict[str, Any], Terms]:
    """Returns the fields that change, and figures."""
    fraction = _fraction(state, config)

    def objective(parameters):
        terms, stats = _discriminator_terms(
            parameters, state, images, fake, key, networks, config, use_r1
        )
        return _weighted_sum(terms, config, fraction), (terms, stats)

    (total, (terms, stats)), gradients = jax.value_and_grad(objective, has_aux=True)(
        state.discriminator
    )
    discriminator, optimizer = _apply_gradients(
        networks.discriminator_optimizer,
        _learning_rate(config.optimizer.discriminator, fraction),
        gradients,
        state.discriminator_optimizer,
        state.discriminator,
    )
    changes = {
        "discriminator": discriminator,
        "discriminator_stats": stats,
        "discriminator_optimizer": optimizer,
    }
    return changes, {**terms, "total": total, "gradient_norm": optax.tree.norm(gradients)}


def _learning_rate(settings, fraction: jax.Array) -> jax.Array:
    return settings.learning_rate * schedule_at(fraction, settings.schedule)


def _apply_gradients(optimizer, learning_rate, gradients, optimizer_state, parameters):
    # Optax counts on implicit promotion, which the tests turn off.
    with jax.numpy_dtype_promotion("standard"):
        directions, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
    changes = jax.tree.map(lambda direction: -learning_rate * direction, directions)
    return optax.apply_updates(parameters, changes), optimizer_state


def _augment(batch: Batch, key: jax.Array, config: FrozenConfigDict) -> dict[str, jax.Array]:
    """uint8 to float32 in [-1, 1], flipped and colour-jittered as configured."""
    content_key, style_key, jitter_key = jax.random.split(key, 3)
    if config.data.paired:
        style_key = content_key
    images = {name: to_float(values) for name, values in batch.items()}
    if config.data.flip:
        keys = {"content": content_key, "style": style_key, "style_smooth": style_key}
        images = {name: random_flip(values, keys[name]) for name, values in images.items()}
    jitter = (config.data.brightness, config.data.contrast, config.data.saturation)
    if any(jitter):
        images["content"] = color_jitter(images["content"], jitter_key, *jitter)
    return images


def _weighted_sum(terms: Terms, config: FrozenConfigDict, fraction: jax.Array) -> jax.Array:
    total = jnp.zeros(())
    for name, value in terms.items():
        total += value * _weight(name, config, fraction)
    return total


def _weight(name: str, config: FrozenConfigDict, fraction: jax.Array) -> jax.Array | float:
    """The weight of a term now. Terms without an entry in `config.losses` have weight 1."""
    if name == "smooth":
        return config.losses.adversarial.smooth_weight
    if name not in config.losses:
        return 1.0
    settings = config.losses[name]
    # R1 is computed every few steps only, and makes up for it by its size (Karras et al. 2020).
    lazy = settings.every if name == "r1" else 1
    return settings.weight * lazy * schedule_at(fraction, settings.schedule)


def _generator_terms(
    parameters: tuple[PyTree, PyTree],
    state: TrainState,
    images: Mapping[str, jax.Array],
    key: jax.Array,
    networks: Networks,
    config: FrozenConfigDict,
    use_adversarial: bool,
) -> tuple[Terms, jax.Array]:
    """Each term of the generator's loss that has a weight, and the generator's output."""
    generator, heads = parameters
    losses = config.losses

    def generate(x, return_features=False):
        return networks.generator.apply({"params": generator}, x, return_features=return_features)

    content = images["content"]
    fake, features = generate(content, return_features=True)
    if not use_adversarial:
        return {"reconstruction": jnp.abs(fake - content).mean()}, fake

    nce_key, palette_key, shift_key, warp_key = jax.random.split(key, 4)
    terms: Terms = {}
    if losses.adversarial.weight > 0:
        logits = networks.discriminator.apply(
            {"params": state.discriminator, "batch_stats": state.discriminator_stats}, fake
        )
        terms["adversarial"] = adversarial.generator_loss(losses.adversarial.kind, logits)
    if losses.patch_nce.weight > 0:
        _, fake_features = generate(fake, return_features=True)
        terms["patch_nce"] = _patch_nce(
            heads, features, fake_features, nce_key, networks.heads, losses.patch_nce
        )
    if losses.color.weight > 0:
        terms["color"] = color.yuv_color_loss(fake, content)
    if losses.total_variation.weight > 0:
        terms["total_variation"] = color.total_variation(fake)
    if losses.palette.weight > 0:
        terms["palette"] = palette_distance(
            fake, images["style"], palette_key, block=losses.palette.block
        )
    if losses.shift.weight > 0:
        terms["shift"] = _shift(generate, content, fake, shift_key, losses.shift.pixels)
    if losses.warp.weight > 0:
        terms["warp"] = _warp(generate, content, fake, warp_key, losses.warp)
    if losses.paired_l1.weight > 0:
        terms["paired_l1"] = jnp.abs(fake - images["style"]).mean()
    return terms, fake


def _patch_nce(heads, features, fake_features, key, module, settings) -> jax.Array:
    features = tuple(features[i] for i in settings.layers)
    fake_features = tuple(fake_features[i] for i in settings.layers)
    shapes = tuple(f.shape[1:3] for f in features)
    positions = contrastive.sample_positions(key, shapes, settings.patches)
    reference = module.apply({"params": heads}, features, positions)
    query = module.apply({"params": heads}, fake_features, positions)
    pairs = zip(query, reference, strict=True)
    losses = [contrastive.patch_nce(q, r, settings.temperature) for q, r in pairs]
    return sum(losses[1:], losses[0]) / len(losses)


# Pixels at the border of a crop that see most of its padding, and are not compared.
_MARGIN = 8


def _shift(generate, content, fake, key, pixels: int) -> jax.Array:
    """|G(crop x) - crop G(x)| at a random offset (VToonify, Yang et al. 2022)."""
    size = content.shape[1] - pixels
    offset = jax.random.randint(key, (2,), 0, pixels + 1)
    shifted = generate(temporal.crop(content, offset, size))
    difference = jnp.abs(shifted - temporal.crop(fake, offset, size))
    return difference[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean()


def _warp(generate, content, fake, key, settings) -> jax.Array:
    """|warp G(x) - G(warp x + noise)|, compound regularization (ReReVST, Wang et al. 2020)."""
    flow_key, noise_key = jax.random.split(key)
    flow = temporal.smooth_flow(flow_key, content.shape[:3], settings.pixels)
    noise = settings.noise * jax.random.normal(noise_key, content.shape)
    difference = jnp.abs(temporal.warp(fake, flow) - generate(temporal.warp(content, flow) + noise))
    return difference[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean()


def _discriminator_terms(
    parameters: PyTree,
    state: TrainState,
    images: Mapping[str, jax.Array],
    fake: jax.Array,
    key: jax.Array,
    networks: Networks,
    config: FrozenConfigDict,
    use_r1: bool,
) -> tuple[Terms, PyTree]:
    """Each term of the discriminator's loss, and its new spectral norm estimates."""
    losses = config.losses
    stats = state.discriminator_stats
    batches = {"real": images["style"], "fake": fake}
    if losses.adversarial.smooth_weight > 0:
        batches["smooth"] = images["style_smooth"]
    logits, changed = networks.discriminator.apply(
        {"params": parameters, "batch_stats": stats},
        jnp.concatenate(list(batches.values())),
        update_stats=True,
        mutable=["batch_stats"],
    )
    terms: Terms = {}
    for name, values in zip(batches, jnp.split(logits, len(batches)), strict=True):
        loss = adversarial.real_loss if name == "real" else adversarial.fake_loss
        terms[name] = loss(losses.adversarial.kind, values)

    def judge(x):
        return networks.discriminator.apply({"params": parameters, "batch_stats": stats}, x)

    if use_r1:
        terms["r1"] = adversarial.r1_penalty(judge, images["style"])
    if losses.gradient_penalty.weight > 0:
        terms["gradient_penalty"] = adversarial.gradient_penalty(judge, images["style"], fake, key)
    return terms, changed.get("batch_stats", {})
