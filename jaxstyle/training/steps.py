"""One training step, as pure functions of arrays.

The state and a batch go in, the next state and the step's figures come out. Which networks a step
updates, and which terms it has, are static: `updates_at` says it for a step, and each combination
is compiled once. One step serves every recipe: what the networks make of a batch and which terms
judge it is chosen by the config, see `jaxstyle.training.objectives`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import FrozenConfigDict

from jaxstyle.data.augment import add_noise, color_jitter, keys_of_images, random_flip, to_float
from jaxstyle.models.examples import takes_noise
from jaxstyle.training.accumulation import in_micro_batches, joined, mean_gradients
from jaxstyle.training.networks import init_discriminators, init_generator
from jaxstyle.training.objectives import discriminator as of_discriminator
from jaxstyle.training.objectives import generator as of_generator
from jaxstyle.training.objectives.outputs import run_generators
from jaxstyle.training.objectives.players import ADVERSARIES, Networks, Pairs, Players
from jaxstyle.training.objectives.pool import Pool, empty_pool, exchange
from jaxstyle.training.objectives.term import named_key
from jaxstyle.training.progressive_growing import enter_stage, stage_at
from jaxstyle.training.schedules import schedule_at
from jaxstyle.training.start import started_from

PyTree = Any
Batch = Mapping[str, jax.Array]
Terms = dict[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """Everything that training changes.

    generator: parameters, a nested dict of float32. helpers, discriminators: those of the further
    networks by name (see `Networks`). discriminator_stats: their spectral norm estimates and fixed
    mixing of features, or empty. ema: the running average of the generator's parameters. pools:
    earlier results by the name of the discriminator that sees them, or empty. step: int32 scalar,
    how many steps were taken. key: the run's PRNG key, which never changes; each step folds its
    number in.
    """

    step: jax.Array
    generator: PyTree
    helpers: PyTree
    discriminators: PyTree
    discriminator_stats: PyTree
    ema: PyTree
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    pools: dict[str, Pool]
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Updates:
    """What one step does. Without `adversarial` the generator only learns to reproduce.

    stage: of networks that grow; others have None.
    """

    generator: bool
    discriminator: bool
    adversarial: bool
    r1: bool
    r2: bool = False
    stage: int | None = None


def updates_at(step: int, config: FrozenConfigDict) -> Updates:
    """Returns what the step of this number (from 0) does under the config."""
    if step < config.initial_steps:
        return Updates(generator=True, discriminator=False, adversarial=False, r1=False)
    has_adversary = config.losses.adversarial.weight > 0
    discriminator = has_adversary and step % config.discriminator_every == 0

    def is_due(penalty: Any) -> bool:
        return (
            discriminator
            and penalty.weight > 0
            and step // config.discriminator_every % penalty.every == 0
        )

    return Updates(
        generator=step % config.generator_every == 0,
        discriminator=discriminator,
        adversarial=True,
        r1=is_due(config.losses.r1),
        r2=is_due(config.losses.r2),
        stage=stage_at(step, config),
    )


def init_state(
    networks: Networks, config: FrozenConfigDict, key: jax.Array, start: PyTree | None = None
) -> TrainState:
    """Draws the initial parameters from `key`, a typed PRNG key.

    start: the generator's, as `start.load_start` gives them, in place of those drawn.
    Raises `UserError` if PatchNCE is to compare feature maps that the generator does not have.
    """
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    generator, helpers = init_generator(networks, config, generator_key)
    if start is not None:
        # A copy: the step donates its input, and the anchor needs the original.
        generator = jax.tree.map(jnp.copy, started_from(generator, start))
    discriminators, stats = init_discriminators(networks, config, discriminator_key)
    pool = config.losses.adversarial.pool
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        helpers=helpers,
        discriminators=discriminators,
        discriminator_stats=stats,
        # A copy: the step donates its input, and one buffer cannot be donated twice.
        ema=jax.tree.map(jnp.copy, generator),
        generator_optimizer=networks.generator_optimizer.init((generator, helpers)),
        discriminator_optimizer=networks.discriminator_optimizer.init(discriminators),
        pools={
            name: empty_pool(pool, config.image_size)
            for name in discriminators
            if pool and name in ADVERSARIES
        },
        key=run_key,
    )


def train_step(
    state: TrainState,
    batch: Batch,
    pretrained: PyTree,
    *,
    networks: Networks,
    config: FrozenConfigDict,
    updates: Updates,
    axis: str | None = None,
) -> tuple[TrainState, Terms]:
    """Takes one step: all networks are updated from the same output of the generator.

    batch: "content" (unless the generator takes noise) and "style", uint8 [N, S, S, 3],
    "style_smooth" of the same shape where edge-smoothed negatives are on, "guide" where content has
    one, and "style_label", int32 [N], where there are several styles. pretrained: see
    `Players`; empty without perceptual terms.
    axis: the name of the axis that the step is mapped over; the batch is then this device's part,
    and what is returned is the same on all of them.
    Returns the next state and float32 scalars: each term of each loss before its weight
    ("g/patch_nce"), the weighted totals and the gradients' norms.
    """
    augment_key, terms_key, judge_key, pool_key = jax.random.split(
        jax.random.fold_in(state.key, state.step), 4
    )
    index = jnp.arange(len(batch["style"]))
    if axis:
        index += len(index) * jax.lax.axis_index(axis)
    images = _augment(batch, index, augment_key, networks, config)
    options: dict[str, Any] = {}
    if updates.stage is not None:  # networks that grow
        state, images, options = enter_stage(updates.stage, state, images, networks, config)
    fraction = state.step.astype(jnp.float32) / config.steps
    players = Players(
        networks=networks,
        config=config,
        generator=state.generator,
        helpers=state.helpers,
        discriminators=state.discriminators,
        stats=state.discriminator_stats,
        pretrained=pretrained,
        options=options,
        axis=axis,
    )
    changes: dict[str, Any] = {"step": state.step + 1}
    metrics: Terms = {}
    if updates.generator:
        pairs, change, figure = _update_generator(
            state, players, images, fraction, terms_key, updates.adversarial
        )
        changes |= change
        metrics |= {f"g/{name}": value for name, value in figure.items()}
    else:
        pairs = in_micro_batches(
            lambda part: run_generators(players, part).pairs, images, config.accumulation
        )
    if updates.discriminator:
        pairs = jax.tree.map(jax.lax.stop_gradient, pairs)
        pools = {}
        for name, pool in state.pools.items():
            real, fake = pairs[name]
            key = named_key(pool_key, name)
            pools[name], shown = exchange(pool, players.gather(fake), key)
            pairs[name] = (real, shown[index])
        change, figure = _update_discriminators(
            state, players, pairs, images, fraction, judge_key, updates
        )
        changes |= {**change, "pools": pools}
        metrics |= {f"d/{name}": value for name, value in figure.items()}
    return dataclasses.replace(state, **changes), metrics


def _update_generator(
    state: TrainState,
    players: Players,
    images: Mapping[str, jax.Array],
    fraction: jax.Array,
    key: jax.Array,
    use_adversarial: bool,
) -> tuple[Pairs, dict[str, Any], Terms]:
    """Returns what the discriminators see of before the update, the fields that change, figures."""
    networks, config = players.networks, players.config
    # What micro-batches cannot see of each other.
    compared = None
    if config.accumulation > 1 and use_adversarial:
        compared = of_generator.compared_terms(players, images, key)

    def objective(parameters, part):
        images, compared = part
        generator, helpers = parameters
        now = dataclasses.replace(players, generator=generator, helpers=helpers)
        terms, outputs = of_generator.generator_terms(
            now, images, key, use_adversarial=use_adversarial, compared=compared
        )
        total = _weighted_sum(terms, of_generator.weights_at(fraction, config))
        return total, ({**terms, "total": total}, outputs.pairs)

    parameters = (state.generator, state.helpers)
    metrics, pairs, gradients = mean_gradients(
        objective, parameters, (images, compared), count=config.accumulation, axis=players.axis
    )
    rate = _learning_rate(config.optimizer.generator, fraction)
    if not use_adversarial:
        rate = jnp.asarray(config.initial_learning_rate, jnp.float32)
    (generator, helpers), optimizer = _apply_gradients(
        networks.generator_optimizer, rate, gradients, state.generator_optimizer, parameters
    )
    # While the average is young it must not be dominated by the initial parameters.
    count = state.step.astype(jnp.float32)
    decay = jnp.minimum(config.ema_decay, (1 + count) / (10 + count))
    changes = {
        "generator": generator,
        "helpers": helpers,
        "ema": jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), state.ema, generator),
        "generator_optimizer": optimizer,
    }
    return joined(pairs), changes, {**metrics, "gradient_norm": optax.tree.norm(gradients)}


def _update_discriminators(
    state: TrainState,
    players: Players,
    pairs: Pairs,
    images: Mapping[str, jax.Array],
    fraction: jax.Array,
    key: jax.Array,
    updates: Updates,
) -> tuple[dict[str, Any], Terms]:
    """Returns the fields that change, and figures."""
    config = players.config

    def objective(parameters, shown):
        now = dataclasses.replace(players, discriminators=parameters)
        pairs, images = shown
        terms, stats = of_discriminator.discriminator_terms(
            now, pairs, images, key, use_r1=updates.r1, use_r2=updates.r2
        )
        total = _weighted_sum(terms, of_discriminator.weights_at(fraction, config))
        return total, ({**terms, "total": total}, stats)

    metrics, stats, gradients = mean_gradients(
        objective,
        state.discriminators,
        (pairs, images),
        count=config.accumulation,
        axis=players.axis,
    )
    discriminators, optimizer = _apply_gradients(
        players.networks.discriminator_optimizer,
        _learning_rate(config.optimizer.discriminator, fraction),
        gradients,
        state.discriminator_optimizer,
        state.discriminators,
    )
    changes = {
        "discriminators": discriminators,
        # They depend on the parameters alone, so each micro-batch has the same.
        "discriminator_stats": jax.tree.map(lambda x: x[0], stats),
        "discriminator_optimizer": optimizer,
    }
    return changes, {**metrics, "gradient_norm": optax.tree.norm(gradients)}


def _learning_rate(settings: Any, fraction: jax.Array) -> jax.Array:
    return settings.learning_rate * schedule_at(fraction, settings.schedule)


def _apply_gradients(optimizer, learning_rate, gradients, optimizer_state, parameters):
    # Optax counts on implicit promotion, which the tests turn off.
    with jax.numpy_dtype_promotion("standard"):
        directions, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
    changes = jax.tree.map(lambda direction: -learning_rate * direction, directions)
    return optax.apply_updates(parameters, changes), optimizer_state


def _augment(
    batch: Batch,
    index: jax.Array,
    key: jax.Array,
    networks: Networks,
    config: FrozenConfigDict,
) -> dict[str, jax.Array]:
    """uint8 to float32 in [-1, 1], flipped and colour-jittered as configured; noise drawn.

    index: int32 [N], the images' numbers in the global batch; comes along as "index".
    """
    content_key, style_key, jitter_key, noise_key = jax.random.split(key, 4)
    if config.data.paired or config.data.teacher:
        style_key = content_key
    keys = {
        "content": content_key,
        "guide": content_key,
        "style": style_key,
        "style_smooth": style_key,
    }
    images = {**batch, "index": index}
    # In one order in every process, or a stored program is not found again.
    for name in (name for name in keys if name in batch):
        images[name] = to_float(batch[name])
        if config.data.flip:
            images[name] = random_flip(images[name], keys_of_images(keys[name], index))
    jitter = (config.data.brightness, config.data.contrast, config.data.saturation)
    if any(jitter) and "content" in images:
        jitter_keys = keys_of_images(jitter_key, index)
        images["content"] = color_jitter(images["content"], jitter_keys, *jitter)
    if config.data.noise and "content" in images:
        noise_keys = keys_of_images(jax.random.fold_in(noise_key, 1), index)
        images["content"] = add_noise(images["content"], noise_keys, config.data.noise)
    if takes_noise(networks.generator):
        shape = (networks.generator.latent,)
        images["noise"] = jax.vmap(lambda k: jax.random.normal(k, shape))(
            keys_of_images(noise_key, index)
        )
    return images


def _weighted_sum(terms: Terms, weights: Terms) -> jax.Array:
    return sum((weights[name] * value for name, value in terms.items()), jnp.zeros(()))
