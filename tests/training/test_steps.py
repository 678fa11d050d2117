import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.losses import adversarial
from jaxstyle.training import sharding, steps
from jaxstyle.training.networks import build_networks

pytestmark = pytest.mark.slow

BOTH = steps.Updates(generator=True, discriminator=True, adversarial=True, r1=False)
ONLY_GENERATOR = dataclasses.replace(BOTH, discriminator=False)
ONLY_DISCRIMINATOR = dataclasses.replace(BOTH, generator=False)

GENERATOR_FIELDS = ("generator", "helpers", "ema", "generator_optimizer")
DISCRIMINATOR_FIELDS = ("discriminators", "discriminator_stats", "discriminator_optimizer")


def tiny(**changes) -> FrozenConfigDict:
    config = default_config()
    config.update_from_flattened_dict(
        {
            "steps": 10,
            "batch_size": 4,
            "image_size": 32,
            "generator.size": "tiny",
            "discriminator.width": 8,
            "discriminator.layers": 1,
            "discriminator.norm": "instance",
            "discriminator.spectral_norm": False,
            "losses.patch_nce.weight": 0.0,
            "losses.patch_nce.layers": (1, 2),
            "losses.patch_nce.patches": 8,
            "losses.patch_nce.width": 8,
            **changes,
        }
    )
    return FrozenConfigDict(config)


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    # The style is darker, so that the networks have something to learn.
    tops = {"content": 256, "style": 128, "style_smooth": 128}
    return {k: rng.integers(0, top, (4, 32, 32, 3), np.uint8) for k, top in tops.items()}


# Most of the time here goes into compiling, which need not end in fast programs.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Trainer:
    """A config's networks, its initial state, and its jitted steps, compiled when first used."""

    def __init__(
        self, config: FrozenConfigDict, initial: steps.TrainState | None = None, seed: int = 1
    ):
        self.config = config
        self.networks = build_networks(config)
        self.init = jit(functools.partial(steps.init_state, self.networks, config))
        self.initial = initial or self.init(jax.random.key(seed))
        self.step = functools.cache(self._step)

    def _step(self, updates: steps.Updates, donate: bool = False):
        step = functools.partial(
            steps.train_step,
            pretrained={},
            networks=self.networks,
            config=self.config,
            updates=updates,
        )
        return jit(step, donate_argnums=0 if donate else ())


@pytest.fixture(scope="module")
def plain() -> Trainer:
    return Trainer(tiny(ema_decay=0.3))


@pytest.fixture(scope="module")
def with_nce() -> Trainer:
    """Adds heads, and the estimates of spectral norm, to what a state holds."""
    return Trainer(tiny(**{"losses.patch_nce.weight": 1.0, "discriminator.spectral_norm": True}))


def assert_close(actual, expected, atol=1e-6, rtol=1e-5):
    close = functools.partial(np.testing.assert_allclose, atol=atol, rtol=rtol)
    jax.tree.map(close, numbers(actual), numbers(expected))


def numbers(tree):
    """PRNG keys as the integers they are made of."""

    def number(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return jax.tree.map(number, tree)


def assert_same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, numbers(actual), numbers(expected))


def moved(before, after) -> bool:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any((a != b).any() for a, b in pairs)


# ---- Who moves in a step -------------------------------------------------------------------------


def test_the_generators_update_leaves_the_discriminator_as_it_is(with_nce, batch):
    """And is the very update that the full step makes: no gradient leaks between the two."""
    full, _ = with_nce.step(BOTH)(with_nce.initial, batch)
    alone, metrics = with_nce.step(ONLY_GENERATOR)(with_nce.initial, batch)
    for field in DISCRIMINATOR_FIELDS:
        assert_same(getattr(alone, field), getattr(with_nce.initial, field))
    for field in GENERATOR_FIELDS:
        assert_close(getattr(alone, field), getattr(full, field))
    assert moved(with_nce.initial.generator, alone.generator)
    assert {name.split("/")[0] for name in metrics} == {"g"}
    assert int(alone.step) == 1


def test_the_discriminators_update_leaves_the_generator_as_it_is(with_nce, batch):
    full, _ = with_nce.step(BOTH)(with_nce.initial, batch)
    alone, metrics = with_nce.step(ONLY_DISCRIMINATOR)(with_nce.initial, batch)
    for field in GENERATOR_FIELDS:
        assert_same(getattr(alone, field), getattr(with_nce.initial, field))
    for field in DISCRIMINATOR_FIELDS:
        assert_close(getattr(alone, field), getattr(full, field))
    assert moved(with_nce.initial.discriminators, alone.discriminators)
    assert moved(with_nce.initial.discriminator_stats, alone.discriminator_stats)
    assert {name.split("/")[0] for name in metrics} == {"d"}


def test_the_heads_learn_with_the_generator(with_nce, batch):
    # The second step: the initial generator is the identity, of which only the head learns.
    state, _ = with_nce.step(BOTH)(with_nce.initial, batch)
    after, _ = with_nce.step(BOTH)(state, batch)
    assert moved(state.helpers, after.helpers)


@pytest.fixture(scope="module")
def without_chance(plain) -> Trainer:
    """A step depends on parameters and images alone. The learning rates fall to 0 in 10 steps."""
    config = {"data.flip": False}
    for name in ("generator", "discriminator"):
        config[f"optimizer.{name}.learning_rate"] = 1e-3
        config[f"optimizer.{name}.schedule"] = ((0.0, 1.0), (1.0, 0.0))
    return Trainer(tiny(**config), plain.initial)


def changes_of(trainer: Trainer, step: int, batch) -> tuple[dict, dict]:
    """What a first step of the optimizers at that step of the run adds; and its figures."""
    before = trainer.initial.replace(step=jnp.asarray(step, jnp.int32))
    after, metrics = trainer.step(BOTH)(before, batch)
    pairs = [(getattr(after, n), getattr(before, n)) for n in ("generator", "discriminators")]
    return [jax.tree.map(lambda a, b: a - b, *pair) for pair in pairs], metrics


def test_the_discriminators_update_follows_its_own_gradient(without_chance, batch):
    """Adam's first step goes by the learning rate against the sign of the gradient of D's loss,
    which is computed here anew, at the generator's output as a constant."""
    networks, state = without_chance.networks, without_chance.initial
    real, content = (batch[k].astype(np.float32) / 127.5 - 1 for k in ("style", "content"))
    fake = networks.generator.apply({"params": state.generator}, content)

    def loss(parameters):
        judge = functools.partial(
            networks.discriminators["main"].apply, {"params": parameters["main"]}
        )
        return jnp.mean((judge(real) - 1) ** 2) + jnp.mean(judge(fake) ** 2)

    total, gradient = jit(jax.value_and_grad(loss))(state.discriminators)
    (_, change), metrics = changes_of(without_chance, 0, batch)
    np.testing.assert_allclose(metrics["d/total"], total, rtol=1e-5)

    def check(change, gradient):
        clear = np.abs(gradient) > 1e-4  # where Adam's epsilon plays no part
        np.testing.assert_allclose(change[clear], -1e-3 * np.sign(gradient[clear]), rtol=2e-3)

    jax.tree.map(check, change, gradient)


def test_learning_rates_follow_the_run_and_not_the_number_of_updates(without_chance, batch):
    """At half of the run the rate is half, however few updates a network had until then."""
    at_first, _ = changes_of(without_chance, 0, batch)
    half_way, _ = changes_of(without_chance, 5, batch)
    assert moved(at_first, half_way)
    assert_close(half_way, jax.tree.map(lambda c: c / 2, at_first), atol=1e-7, rtol=1e-3)


def test_every_so_many_steps():
    config = tiny(
        **{
            "initial_steps": 3,
            "generator_every": 2,
            "discriminator_every": 3,
            "losses.r1.weight": 1.0,
            "losses.r1.every": 2,
            "losses.r2.weight": 1.0,
            "losses.r2.every": 3,
        }
    )
    updates = [steps.updates_at(step, config) for step in range(20)]
    assert all(
        u == steps.Updates(generator=True, discriminator=False, adversarial=False, r1=False)
        for u in updates[:3]
    )
    assert [u.adversarial for u in updates[3:]] == [True] * 17
    at = {
        name: [i for i in range(3, 20) if getattr(updates[i], name)]
        for name in ("generator", "discriminator", "r1", "r2")
    }
    assert at["generator"] == [4, 6, 8, 10, 12, 14, 16, 18]
    assert at["discriminator"] == [3, 6, 9, 12, 15, 18]
    # Every second of the discriminator's updates, whatever steps these fall on.
    assert at["r1"] == [6, 12, 18]
    assert at["r2"] == [9, 18]


def test_initial_steps_learn_to_reproduce(plain, batch):
    config = tiny(initial_steps=2)
    state, metrics = plain.step(steps.updates_at(0, config))(plain.initial, batch)
    assert set(metrics) == {"g/reconstruction", "g/total", "g/gradient_norm"}
    assert_same(state.discriminators, plain.initial.discriminators)
    # The untrained generator is the identity already; a spoilt one learns to be it.
    spoilt = jax.tree.map(lambda p: p + 0.02, plain.initial.generator)
    state, losses = plain.initial.replace(generator=spoilt), []
    for _ in range(20):
        state, metrics = plain.step(steps.updates_at(0, config))(state, batch)
        losses.append(float(metrics["g/reconstruction"]))
    assert losses[-1] < 0.9 * losses[0]


# ---- Networks that grow --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def growing() -> Trainer:
    config = default_config()
    config.generator = ConfigDict({"name": "progan", "width": 8, "latent": 8, "image_size": 16})
    config.discriminator = ConfigDict({"name": "progan", "width": 8, "image_size": 16})
    config.growth.stages = (0.0, 0.2, 0.6)
    config.update_from_flattened_dict(
        {"steps": 10, "image_size": 16, "losses.patch_nce.weight": 0.0, "data.flip": False}
    )
    return Trainer(FrozenConfigDict(config))


def test_stages_begin_where_the_config_says(growing):
    stages = [steps.updates_at(step, growing.config).stage for step in range(10)]
    assert stages == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_a_stage_that_begins_forgets_the_optimizers_moments(growing):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    step = growing.step(steps.updates_at(2, growing.config))
    old = jax.tree.map(jnp.ones_like, growing.initial.generator_optimizer)
    for now, count in ((2, 1), (3, 2)):
        state = growing.initial.replace(step=jnp.int32(now), generator_optimizer=old)
        after, metrics = step(state, {"style": pictures})
        assert int(after.generator_optimizer.count) == count
        assert all(np.isfinite(float(value)) for value in metrics.values())
        # What belongs to the last stage has not been used yet, and does not move.
        unused = [
            name
            for name in state.ema
            if not moved(growing.initial.generator[name], after.generator[name])
        ]
        assert (len(unused) > 0) == (now == 2)


# ---- What a step computes ------------------------------------------------------------------------

ALL_TERMS = {
    "losses.adversarial.smooth_weight": 0.5,
    "losses.r1.weight": 0.3,
    "losses.r1.every": 4,
    "losses.r1.schedule": ((0.0, 0.5), (1.0, 1.0)),
    "losses.gradient_penalty.weight": 2.0,
    "losses.patch_nce.weight": 1.5,
    "losses.color.weight": 3.0,
    "losses.total_variation.weight": 0.7,
    "losses.palette.weight": 0.9,
    "losses.patches.weight": 0.8,
    "losses.warp.weight": 4.0,
    "losses.warp.schedule": ((0.0, 0.0), (0.5, 1.0)),
    "losses.shift.weight": 5.0,
    "losses.shift.schedule": ((0.0, 0.25), (1.0, 0.75)),
    "losses.paired_l1.weight": 6.0,
    "data.paired": True,
    "image_size": 48,
}


@pytest.fixture(scope="module")
def all_terms() -> Trainer:
    return Trainer(tiny(**ALL_TERMS))


@pytest.fixture(scope="module")
def larger_batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    names = ("content", "style", "style_smooth")
    return {k: rng.integers(0, 256, (4, 48, 48, 3), np.uint8) for k in names}


def test_totals_are_the_weighted_sums_of_the_terms(all_terms, larger_batch):
    state = all_terms.initial.replace(step=jnp.asarray(4, jnp.int32))  # of 10
    # Away from the identity, where temporal terms are zero.
    state = state.replace(generator=jax.tree.map(lambda p: p + 0.01, state.generator))
    _, metrics = all_terms.step(dataclasses.replace(BOTH, r1=True))(state, larger_batch)
    values = {name: float(value) for name, value in metrics.items()}
    weights = {
        "g/adversarial": 1.0,
        "g/patch_nce": 1.5,
        "g/color": 3.0,
        "g/total_variation": 0.7,
        "g/palette": 0.9,
        "g/patches": 0.8,
        "g/warp": 4.0 * 0.8,
        "g/shift": 5.0 * 0.45,
        "g/paired_l1": 6.0,
        "d/real": 1.0,
        "d/fake": 1.0,
        "d/smooth": 0.5,
        "d/r1": 0.3 * 4 * 0.7,  # every fourth update, at four times the weight
        "d/gradient_penalty": 2.0,
    }
    extra = {f"{net}/{name}" for net in "gd" for name in ("total", "gradient_norm")}
    assert set(values) == set(weights) | extra
    assert all(np.isfinite(value) and value > 0 for value in values.values())
    for net in "gd":
        total = sum(weights[n] * values[n] for n in weights if n.startswith(net))
        np.testing.assert_allclose(values[f"{net}/total"], total, rtol=1e-5)


def test_a_pair_is_flipped_alike(all_terms, larger_batch):
    """The untrained generator is the identity, so a pair of equal frames costs it nothing."""
    step = all_terms.step(dataclasses.replace(BOTH, r1=True))
    same = dict.fromkeys(larger_batch, larger_batch["content"])
    mirrored = same | {"style": same["style"][:, :, ::-1]}
    for key in jax.random.split(jax.random.key(5), 4):
        state = all_terms.initial.replace(key=key)
        np.testing.assert_allclose(step(state, same)[1]["g/paired_l1"], 0, atol=1e-6)
        assert step(state, mirrored)[1]["g/paired_l1"] > 0.1


def test_a_guide_is_flipped_with_its_content_and_not_with_its_style(plain):
    pictures = np.random.default_rng(2).integers(0, 256, (32, 8, 8, 3), np.uint8)
    batch = dict.fromkeys(("content", "guide", "style"), pictures)
    draw = (jnp.arange(32), jax.random.key(3), plain.networks)
    config = tiny(**{"data.guides": ("painter:oil",), "data.brightness": 0.5})
    images = steps._augment(batch, *draw, config)
    flipped = {
        name: [
            np.allclose((shown + 1) * 127.5, picture[:, ::-1], atol=0.01)
            for shown, picture in zip(images[name], pictures, strict=True)
        ]
        for name in ("guide", "style")
    }
    assert flipped["guide"] != flipped["style"]
    assert 4 < sum(flipped["guide"]) < 28
    # Its colours are the painter's, whatever has become of those of the content.
    content = steps._augment(batch, *draw, tiny())["content"]
    np.testing.assert_array_equal(images["guide"], content)
    assert np.abs(images["content"] - content).max() > 0.1


def test_noise_is_on_the_content_and_not_on_what_belongs_to_it(plain):
    """So the output, which is compared with the guide, has to be without."""
    pictures = np.random.default_rng(2).integers(0, 256, (32, 16, 16, 3), np.uint8)
    names = ("content", "guide", "style", "style_smooth")
    batch = dict.fromkeys(names, pictures)

    def augmented(index=None, **changes):
        index = jnp.arange(32) if index is None else index
        part = {name: images[np.asarray(index)] for name, images in batch.items()}
        draw = (index, jax.random.key(3), plain.networks)
        return steps._augment(part, *draw, tiny(**{"data.guides": ("painter:oil",), **changes}))

    clean, noisy = augmented(), augmented(**{"data.noise": 0.1})
    for name in names[1:]:
        np.testing.assert_array_equal(noisy[name], clean[name])
    deviations = np.asarray(noisy["content"] - clean["content"]).std((1, 2, 3))
    assert 0.06 < deviations.max() < 0.1
    assert 0 < deviations.min() < 0.05
    # An image has its own on whichever device it is.
    few = jnp.array([30, 7])
    part = augmented(few, **{"data.noise": 0.1})
    np.testing.assert_array_equal(part["content"], noisy["content"][few])


@pytest.mark.parametrize("kind", adversarial.KINDS)
def test_every_kind_of_adversarial_loss_trains(kind, plain, batch):
    trainer = Trainer(tiny(**{"losses.adversarial.kind": kind}), plain.initial)
    state, step = trainer.initial, trainer.step(BOTH)
    for _ in range(2):
        state, metrics = step(state, batch)
    judgements = {"d/fake"} if kind == "relativistic" else {"d/real", "d/fake"}
    assert {"g/adversarial", *judgements} <= set(metrics)
    assert all(np.isfinite(float(value)) for value in metrics.values())
    assert float(metrics["d/gradient_norm"]) > 0
    assert float(metrics["g/gradient_norm"]) > 0


def test_the_discriminator_learns_to_tell_style_from_output(plain, batch):
    state, totals = plain.initial, []
    for _ in range(30):
        state, metrics = plain.step(ONLY_DISCRIMINATOR)(state.replace(step=jnp.int32(0)), batch)
        totals.append(float(metrics["d/total"]))
    assert totals[-1] < 0.8 * totals[0]


def test_feature_maps_that_the_generator_lacks_are_refused():
    config = tiny(**{"losses.patch_nce.weight": 1.0, "losses.patch_nce.layers": (0, 1, 3, 5)})
    networks = build_networks(config)
    init = functools.partial(steps.init_state, networks, config)
    with pytest.raises(UserError, match=r"patch_nce\.layers.* 0 to 3"):
        jax.eval_shape(init, jax.random.key(0))


# ---- Schedules, averages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [((0.0, 1.0),), ((0.5, 0.0), (1.0, 1.0)), ((0.0, 0.2), (0.1, 1.0), (0.6, 1.0), (1.0, 0.0))],
)
def test_schedules_interpolate_linearly(schedule):
    at, multipliers = zip(*schedule, strict=True)
    for fraction in np.linspace(0, 1, 11, dtype=np.float32):
        expected = np.interp(fraction, at, multipliers)
        actual = steps.schedule_at(jnp.asarray(fraction), schedule)
        np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("step", [0, 2, 1000])
def test_the_average_follows_its_formula(plain, batch, step):
    """ema <- decay * ema + (1 - decay) * new, with decay = min(0.3, (1 + t) / (10 + t))."""
    before = plain.initial.replace(
        step=jnp.asarray(step, jnp.int32),
        ema=jax.tree.map(lambda p: p + 1, plain.initial.generator),
    )
    after, _ = plain.step(BOTH)(before, batch)
    decay = min(0.3, (1 + step) / (10 + step))
    expected = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, before.ema, after.generator)
    assert_close(after.ema, expected)


# ---- How it runs ---------------------------------------------------------------------------------


def run(trainer: Trainer, batch, device_count: int, count: int):
    """`count` donating steps over `device_count` devices, R1 in every second of them."""
    mesh = sharding.make_mesh(device_count, 4)
    # A copy, for the first step donates it.
    state = sharding.replicate(jax.tree.map(jnp.copy, trainer.initial), mesh)
    for i in range(count):
        updates = steps.updates_at(i, trainer.config)
        state, _ = trainer.step(updates, True)(state, sharding.split_batch(batch, mesh))
    return state


@pytest.fixture(scope="module")
def lazy_r1() -> Trainer:
    return Trainer(
        tiny(
            **{
                "losses.r1.weight": 0.1,
                "losses.r1.every": 2,
                "losses.patch_nce.weight": 1.0,
                # A bias below a norm has gradient zero, up to rounding, which Adam blows up.
                "discriminator.norm": "none",
                "discriminator.spectral_norm": True,
                "data.brightness": 0.2,
            }
        ),
        # So may any parameter: from key 1 two of the generator's have, from key 3 none.
        seed=3,
    )


def test_four_devices_give_the_parameters_of_one(lazy_r1, batch):
    two = {name: batch[name] for name in ("content", "style")}
    one = run(lazy_r1, two, 1, 6)
    four = run(lazy_r1, two, 4, 6)
    assert len(jax.tree.leaves(four.generator)[0].sharding.device_set) == 4
    # Sums over the batch add up in another order. Six steps move a parameter by up to 1.2e-3.
    assert_close(four.generator, one.generator, atol=2e-5, rtol=0)
    assert_close(four.ema, one.ema, atol=2e-5, rtol=0)
    assert_close(four.helpers, one.helpers, atol=2e-5, rtol=0)
    assert_close(four.discriminators, one.discriminators, atol=2e-5, rtol=0)
    assert_close(four.discriminator_stats, one.discriminator_stats, atol=1e-4, rtol=1e-3)
    assert_same(four.key, one.key)
    assert int(four.step) == int(one.step) == 6


@pytest.mark.parametrize("device_count", [1, 4])
def test_each_kind_of_step_compiles_once(lazy_r1, batch, device_count):
    two = {name: batch[name] for name in ("content", "style")}
    run(lazy_r1, two, device_count, 2)
    # With R1 and without.
    variants = [lazy_r1.step(steps.updates_at(i, lazy_r1.config), True) for i in range(2)]
    assert variants[0] is not variants[1]
    compiled = [variant._cache_size() for variant in variants]
    run(lazy_r1, two, device_count, 6)
    assert [variant._cache_size() for variant in variants] == compiled


def test_a_step_reuses_the_memory_of_the_state_before(plain, batch):
    state = jax.tree.map(jnp.copy, plain.initial)
    for updates in (BOTH, ONLY_GENERATOR, ONLY_DISCRIMINATOR):
        after, _ = plain.step(updates, True)(state, batch)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
        state = after


def test_the_same_seed_gives_the_same_state(plain):
    assert_same(plain.init(jax.random.key(1)), plain.initial)
    assert moved(plain.init(jax.random.key(2)).generator, plain.initial.generator)
    assert_same(plain.initial.ema, plain.initial.generator)
