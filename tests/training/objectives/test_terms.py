"""Terms of both losses against their formulas, written out for one batch."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.losses import paired
from jaxstyle.losses.flatness import flatness_loss
from jaxstyle.models.branches import fold
from jaxstyle.training.networks import build_networks, init_discriminators, init_generator
from jaxstyle.training.objectives import discriminator, generator
from jaxstyle.training.objectives.discriminator import discriminator_terms
from jaxstyle.training.objectives.generator import generator_terms
from jaxstyle.training.objectives.outputs import run_generators
from jaxstyle.training.objectives.players import Players

pytestmark = pytest.mark.slow

# Most of the time here goes into compiling, which need not end in fast programs.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

GREY = np.array([0.299, 0.587, 0.114], np.float32)


def config_with(generator=None, discriminator=None, **changes) -> FrozenConfigDict:
    config = default_config()
    config.image_size = 32
    config.batch_size = 2
    config.generator.size = "tiny"
    config.discriminator.update({"width": 8, "layers": 1, "spectral_norm": False})
    if generator:
        config.generator = ConfigDict(generator)
    if discriminator:
        config.discriminator = ConfigDict(discriminator)
    config.losses.patch_nce.weight = 0.0
    config.losses.adversarial.weight = 0.0
    config.update_from_flattened_dict(changes)
    return FrozenConfigDict(config)


def players_of(config: FrozenConfigDict, **fields) -> Players:
    networks = build_networks(config)
    init = jit(functools.partial(init_generator, networks, config))
    generator, helpers = init(jax.random.key(0))
    init = jit(functools.partial(init_discriminators, networks, config))
    discriminators, stats = init(jax.random.key(1))
    # Away from the identity and from zero, where many terms vanish.
    rng = np.random.default_rng(2)
    generator = jax.tree.map(
        lambda p: np.asarray(p) + np.float32(0.02) * rng.standard_normal(p.shape, np.float32),
        generator,
    )
    return Players(networks, config, generator, helpers, discriminators, stats, {}, **fields)


@pytest.fixture(scope="module")
def images() -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(3), 3)
    names = ("content", "style", "style_smooth")
    images = {
        name: jax.random.uniform(key, (2, 32, 32, 3), minval=-1.0)
        for name, key in zip(names, keys, strict=True)
    }
    return {**images, "index": jnp.arange(2)}


def jitted_terms(players):
    return jit(lambda images, key: generator_terms(players, images, key, use_adversarial=True))


def terms_of(players, images):
    return jitted_terms(players)(images, jax.random.key(4))


def test_cycle_and_identity(images):
    config = config_with(
        {"name": "resnet", "width": 4, "blocks": 2},
        **{"losses.cycle.weight": 10.0, "losses.identity.weight": 5.0},
    )
    players = players_of(config)
    terms, outputs = terms_of(players, images)

    @jit
    def forward(x):
        return players.networks.generator.apply({"params": players.generator}, x)

    @jit
    def backward(x):
        return players.networks.generator.apply({"params": players.helpers["backward"]}, x)

    x, y = images["content"], images["style"]
    cycle = np.abs(backward(forward(x)) - x).mean() + np.abs(forward(backward(y)) - y).mean()
    identity = np.abs(forward(y) - y).mean() + np.abs(backward(x) - x).mean()
    np.testing.assert_allclose(terms["cycle"], cycle, rtol=1e-5)
    np.testing.assert_allclose(terms["identity"], identity, rtol=1e-5)
    # Each discriminator judges its own direction.
    pairs = outputs.pairs
    np.testing.assert_allclose(pairs["main"][1], forward(x), atol=1e-5)
    np.testing.assert_array_equal(pairs["main"][0], y)
    np.testing.assert_allclose(pairs["backward"][1], backward(y), atol=1e-5)
    np.testing.assert_array_equal(pairs["backward"][0], x)


def test_a_cycle_has_both_discriminators_judge_its_results(images):
    changes = {"losses.cycle.weight": 10.0, "losses.adversarial.weight": 1.0}
    players = players_of(config_with({"name": "resnet", "width": 4, "blocks": 2}, **changes))
    terms, outputs = terms_of(players, images)
    judge = players.networks.discriminators["main"]
    logits = [
        judge.apply({"params": players.discriminators[name]}, fake)
        for name, fake in (("main", outputs.fake), ("backward", outputs.backward))
    ]
    expected = sum(np.mean((np.asarray(values) - 1) ** 2) for values in logits)
    np.testing.assert_allclose(terms["adversarial"], expected, rtol=1e-5)


class MirrorBlind(nn.Module):
    """A generator whose feature maps do not change when the picture is mirrored and put back."""

    stride = 4

    @nn.compact
    def __call__(self, x, return_features=False):
        maps = (nn.Dense(4, name="colour")(x),)
        return (x, maps) if return_features else x


def test_flip_equivariance_compares_what_lies_at_the_same_place(images):
    """With features that know no left and right, FastCUT's mirrored reference is the same."""
    changes = {"losses.patch_nce.weight": 1.0, "losses.patch_nce.layers": (0,)}
    found = []
    for flip in (False, True):
        config = config_with(**changes, **{"losses.patch_nce.flip": flip})
        networks = dataclasses.replace(build_networks(config), generator=MirrorBlind())
        generator, helpers = init_generator(networks, config, jax.random.key(0))
        players = Players(networks, config, generator, helpers, {}, {}, {})
        terms, _ = terms_of(players, images)
        found.append(terms["patch_nce"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_flip_equivariance_asks_features_to_mirror_with_the_picture(images):
    changes = {"losses.patch_nce.weight": 1.0, "losses.patch_nce.layers": (1, 2)}
    plain = players_of(config_with(**changes))
    flipped = dataclasses.replace(
        plain, config=config_with(**changes, **{"losses.patch_nce.flip": True})
    )
    # The untrained body is not symmetric; and of two images, one in four draws flips neither.
    both = [jitted_terms(players) for players in (plain, flipped)]
    found = [
        [terms(images, jax.random.key(seed))[0]["patch_nce"] for terms in both] for seed in range(6)
    ]
    assert any(a != b for a, b in found)


def test_a_conditional_discriminator_sees_content_and_result_side_by_side(images):
    changes = {"losses.adversarial.weight": 1.0, "losses.adversarial.conditional": True}
    players = players_of(config_with(**changes))
    terms, outputs = terms_of(players, images)
    both = jnp.concatenate([images["content"], outputs.fake], axis=-1)
    judge = players.networks.discriminators["main"]
    logits = judge.apply({"params": players.discriminators["main"]}, both)
    np.testing.assert_allclose(terms["adversarial"], jnp.square(logits - 1).mean(), rtol=1e-5)
    real = jnp.concatenate([images["content"], images["style"]], axis=-1)
    logits = judge.apply({"params": players.discriminators["main"]}, real)
    found, _ = discriminator_terms(players, outputs.pairs, images, jax.random.key(0), use_r1=False)
    np.testing.assert_allclose(found["real"], jnp.square(logits - 1).mean(), rtol=1e-5)


def test_paired_terms_compare_with_the_guide_where_there_is_one(images):
    changes = {"losses.paired_l1.weight": 1.0, "losses.paired_gradient.weight": 1.0}
    guide = images["content"][:, ::-1] / 2
    terms, outputs = terms_of(players_of(config_with(**changes)), images | {"guide": guide})
    difference = np.asarray(outputs.fake - guide)
    np.testing.assert_allclose(terms["paired_l1"], np.abs(difference).mean(), rtol=1e-5)
    gradients = [np.abs(np.diff(difference, axis=axis)).mean() for axis in (1, 2)]
    np.testing.assert_allclose(terms["paired_gradient"], sum(gradients), rtol=1e-4)


@pytest.mark.parametrize("branches", [False, True])
def test_an_anchor_is_what_the_generator_that_it_started_from_paints(images, branches):
    changes = {"losses.anchor.weight": 1.0, "start": "soft.safetensors"}
    config = config_with(**changes, **{"generator.branches": branches})
    players = players_of(config)
    module, parameters = fold(players.networks.generator, players.generator)
    start = jax.tree.map(lambda p: 0.9 * p, parameters)
    terms, outputs = terms_of(dataclasses.replace(players, pretrained={"start": start}), images)
    painted = module.apply({"params": start}, images["content"])
    expected = paired.blurred_l1(outputs.fake, painted)
    assert expected > 1e-4
    np.testing.assert_allclose(terms["anchor"], expected, rtol=1e-4)
    players = dataclasses.replace(players, pretrained={"start": parameters})
    np.testing.assert_allclose(terms_of(players, images)[0]["anchor"], 0, atol=1e-6)


def test_flats_and_the_range_are_the_outputs(images):
    changes = {"losses.flat.weight": 1.0, "losses.flat.scale": 0.5, "losses.range.weight": 5.0}
    players = players_of(config_with(**changes))
    # A generator that adds nothing, to a content that is beyond the range.
    identity = jax.tree.map(jnp.zeros_like, players.generator)
    players = dataclasses.replace(players, generator=identity)
    content = 2 * images["content"]
    terms, _ = terms_of(players, images | {"content": content})
    expected = flatness_loss(content, content, 0.5)
    np.testing.assert_allclose(terms["flat"], expected, rtol=1e-5)
    clipped = np.abs(content - np.clip(content, -1, 1)).mean()
    np.testing.assert_allclose(terms["range"], clipped, rtol=1e-5)


def test_a_shifts_second_view_has_noise_of_its_own():
    """Through the identity, what is compared is the noise alone: its mean absolute value."""
    content = jnp.zeros((2, 64, 64, 3))
    images = {"content": content, "style": content, "index": jnp.arange(2)}
    found = []
    for noise in (0.0, 0.25):
        config = config_with(
            **{"image_size": 64, "losses.shift.weight": 1.0, "losses.shift.noise": noise}
        )
        players = players_of(config)
        identity = jax.tree.map(jnp.zeros_like, players.generator)
        terms, _ = terms_of(dataclasses.replace(players, generator=identity), images)
        found.append(float(terms["shift"]))
    assert found[0] == 0
    # Of 32x32 pixels, 2 images and 3 channels: the mean is known to 1 %.
    assert found[1] == pytest.approx(0.25 * np.sqrt(2 / np.pi), rel=0.04)


def test_animegan2s_discriminator_rejects_grey_and_smooth_frames(images):
    changes = {
        "losses.adversarial.weight": 1.0,
        "losses.adversarial.smooth_weight": 0.8,
        "losses.adversarial.smooth_grey": True,
        "losses.adversarial.grey_weight": 1.2,
        "losses.adversarial.real_weight": 1.5,
    }
    config = config_with(**changes)
    players = players_of(config)
    outputs = run_generators(players, images)
    terms, _ = discriminator_terms(players, outputs.pairs, images, jax.random.key(0), use_r1=False)
    judge = players.networks.discriminators["main"]

    def logits(x):
        return np.asarray(judge.apply({"params": players.discriminators["main"]}, x))

    def grey(x):
        return jnp.asarray(np.repeat((np.asarray(x) @ GREY)[..., None], 3, axis=-1))

    expected = {
        "real": np.mean((logits(images["style"]) - 1) ** 2),
        "fake": np.mean(logits(outputs.fake) ** 2),
        "grey": np.mean(logits(grey(images["style"])) ** 2),
        "smooth": np.mean(logits(grey(images["style_smooth"])) ** 2),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    weights = weights_of(discriminator, config)
    weights = {name: weights[name] for name in terms}
    assert weights == pytest.approx({"real": 1.5, "fake": 1.0, "grey": 1.2, "smooth": 0.8})


def test_r3gan_judges_pairs_and_penalises_both_sides(images):
    changes = {
        "losses.adversarial.weight": 1.0,
        "losses.adversarial.kind": "relativistic",
        "losses.adversarial.smooth_weight": 0.5,
        "losses.r1.weight": 2.0,
        "losses.r2.weight": 3.0,
        "losses.r2.every": 4,
    }
    config = config_with(**changes)
    players = players_of(config)
    outputs = run_generators(players, images)
    of_generator, _ = terms_of(players, images)

    @functools.partial(jax.jit, static_argnames=("use_r1", "use_r2"))
    def of_judge(key, **penalties):
        return discriminator_terms(players, outputs.pairs, images, key, **penalties)[0]

    terms = of_judge(jax.random.key(0), use_r1=False, use_r2=True)
    assert set(terms) == {"fake", "smooth", "r2"}
    judge = players.networks.discriminators["main"]

    def logits(x):
        return judge.apply({"params": players.discriminators["main"]}, x)

    real, fake, smooth = (
        np.asarray(logits(x)) for x in (images["style"], outputs.fake, images["style_smooth"])
    )
    expected = {"fake": np.log1p(np.exp(fake - real)), "smooth": np.log1p(np.exp(smooth - real))}
    for name, values in expected.items():
        np.testing.assert_allclose(terms[name], values.mean(), rtol=1e-4)
    wanted = np.log1p(np.exp(real - fake)).mean()
    np.testing.assert_allclose(of_generator["adversarial"], wanted, rtol=1e-4)

    def half_square(x):
        gradient = jax.grad(lambda x: logits(x).mean(axis=(1, 2, 3)).sum())(x)
        return np.square(np.asarray(gradient)).sum() / len(x) / 2

    np.testing.assert_allclose(terms["r2"], half_square(outputs.fake), rtol=1e-3)
    r1 = of_judge(jax.random.key(0), use_r1=True, use_r2=False)
    np.testing.assert_allclose(r1["r1"], half_square(images["style"]), rtol=1e-3)
    weights = weights_of(discriminator, config)
    assert weights["r2"] == 12
    assert weights["grey/r2"] == 12
    assert "real" not in weights


def test_each_style_has_a_channel_of_the_discriminator(images):
    config = config_with(
        {"name": "realtime", "size": "tiny", "styles": 3},
        {"name": "patch", "width": 8, "layers": 1, "styles": 3},
        **{"losses.adversarial.weight": 1.0, "data.styles": ("a", "b", "c")},
    )
    players = players_of(config)
    labelled = images | {"style_label": jnp.array([2, 0])}
    terms, outputs = terms_of(players, labelled)
    judge = players.networks.discriminators["main"]
    logits = np.asarray(judge.apply({"params": players.discriminators["main"]}, outputs.fake))
    chosen = np.stack([logits[0, ..., 2], logits[1, ..., 0]])
    np.testing.assert_allclose(terms["adversarial"], np.mean((chosen - 1) ** 2), rtol=1e-5)
    # And the generator was told of the same styles.
    weights = jnp.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    alone = players.networks.generator.apply(
        {"params": players.generator}, images["content"], weights
    )
    np.testing.assert_allclose(outputs.fake, alone, atol=1e-6)


def test_drift_is_the_mean_square_of_the_real_logits(images):
    config = config_with(**{"losses.drift.weight": 0.001, "losses.adversarial.kind": "wgan"})
    players = players_of(config)
    pairs = run_generators(players, images).pairs
    terms, _ = discriminator_terms(players, pairs, images, jax.random.key(0), use_r1=False)
    judge = players.networks.discriminators["main"]
    logits = judge.apply({"params": players.discriminators["main"]}, images["style"])
    np.testing.assert_allclose(terms["drift"], jnp.square(logits).mean(), rtol=1e-5)


def test_a_discriminator_that_couples_images_sees_real_and_fake_apart():
    """Batch norm over both at once would tell it which half is which."""
    config = config_with(
        {"name": "dcgan", "width": 8, "image_size": 32},
        {"name": "dcgan", "width": 8, "image_size": 32},
        **{"losses.adversarial.kind": "bce", "losses.adversarial.weight": 1.0},
    )
    players = players_of(config)
    batch = {
        "style": jax.random.uniform(jax.random.key(1), (4, 32, 32, 3)),
        "noise": jax.random.normal(jax.random.key(2), (4, 100)),
    }
    outputs = run_generators(players, batch)
    terms, _ = discriminator_terms(players, outputs.pairs, batch, jax.random.key(0), use_r1=False)
    judge = players.networks.discriminators["main"]
    real = judge.apply({"params": players.discriminators["main"]}, batch["style"])
    fake = judge.apply({"params": players.discriminators["main"]}, outputs.fake)
    np.testing.assert_allclose(terms["real"], jax.nn.softplus(-real).mean(), rtol=1e-5)
    np.testing.assert_allclose(terms["fake"], jax.nn.softplus(fake).mean(), rtol=1e-5)


def weights_of(module, config, fraction=0.0) -> dict[str, float]:
    weights = module.weights_at(jnp.asarray(fraction, jnp.float32), config)
    return {name: float(weight) for name, weight in weights.items()}


def test_content_and_style_weights_multiply_their_terms():
    config = config_with(
        **{
            "content_weight": 0.01,
            "style_weight": 0.1,
            "losses.support.weight": 1.0,
            "losses.patch_nce.weight": 2.0,
            "losses.adversarial.weight": 3.0,
            "losses.warp.weight": 4.0,
            "losses.warp.schedule": ((0.0, 1.0),),
        }
    )
    weights = weights_of(generator, config)
    assert weights["support/color"] == pytest.approx(10 * 0.01)
    assert weights["support/gram"] == pytest.approx(1.0 * 0.1)
    assert weights["patch_nce"] == pytest.approx(0.02)
    assert weights["adversarial"] == pytest.approx(0.3)
    assert weights["warp"] == 4.0


def test_which_terms_hold_on_to_the_content_and_which_ask_for_the_style():
    on = {f"losses.{term.entry or term.name}.weight": 1.0 for term in generator.TERMS}
    both = weights_of(generator, config_with(**on), fraction=1.0)

    def multiplied_by(knob):
        weights = weights_of(generator, config_with(**on, **{knob: 2.0}), fraction=1.0)
        return {name for name in both if weights[name] == 2 * both[name]}

    assert multiplied_by("content_weight") == {
        *("patch_nce", "ccpl", "perceptual", "lpips", "cycle", "identity", "color"),
        *("support/perceptual", "support/color"),
    }
    assert multiplied_by("style_weight") == {
        *("adversarial", "palette", "patches", "gram", "statistics", "style_contrast"),
        "batch_gram",
        *("support/adversarial", "support/gram"),
    }


def test_a_discriminators_penalty_has_its_own_schedule_and_not_that_of_what_it_judges():
    """AnimeGANv3's second discriminator, whose terms are otherwise scheduled with its tail's."""
    config = config_with(
        **{
            "losses.support.weight": 1.0,
            "losses.support.schedule": ((0.0, 0.0), (1.0, 1.0)),
            "losses.r1.weight": 3.0,
            "losses.r1.every": 4,
            "losses.r1.schedule": ((0.0, 1.0), (1.0, 0.0)),
            "losses.gradient_penalty.weight": 5.0,
        }
    )
    weights = weights_of(discriminator, config, fraction=0.25)
    for judge in ("", "backward/", "support/"):
        assert weights[f"{judge}r1"] == pytest.approx(3 * 4 * 0.75)
        assert weights[f"{judge}gradient_penalty"] == 5.0
    assert weights["support/real"] == pytest.approx(0.5 * 0.25)
    assert weights["real"] == 1.0


def test_every_entry_of_the_config_is_of_a_term_and_every_term_has_one():
    terms = [*generator.TERMS, *generator.INITIAL_TERMS, *sum(discriminator.TERMS.values(), ())]
    assert {term.entry or term.name for term in terms} == set(default_config().losses)
