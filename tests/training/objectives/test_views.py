"""What discriminators are shown, and those of pretrained features, with random weights."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle import features
from jaxstyle.config import default_config
from jaxstyle.losses import adversarial
from jaxstyle.losses.smoothing import guided_filter
from jaxstyle.training.networks import build_networks, init_discriminators, init_generator
from jaxstyle.training.objectives.discriminator import discriminator_terms
from jaxstyle.training.objectives.generator import generator_terms
from jaxstyle.training.objectives.players import Players
from jaxstyle.training.objectives.term import named_key
from jaxstyle.training.objectives.views import shown

pytestmark = pytest.mark.slow

# Most of the time here goes into compiling, which need not end in fast programs.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

LAYERS = ("fire2", "fire4")
PROJECTED = {"name": "projected", "layers": LAYERS, "width": 8, "mixed_width": 16}
KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    images = {
        n: rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32) for n in ("content", "style")
    }
    return {**images, "index": np.arange(2)}


def config_with(discriminator=None, **changes) -> FrozenConfigDict:
    config = default_config()
    config.image_size = 32
    config.batch_size = 2
    config.generator.size = "nano"
    config.features.network = "squeezenet"
    config.discriminator.update({"width": 8, "layers": 1, "spectral_norm": False})
    if discriminator:
        config.discriminator = ConfigDict(discriminator)
    config.losses.patch_nce.weight = 0.0
    config.losses.adversarial.kind = "hinge"
    config.update_from_flattened_dict(changes)
    return FrozenConfigDict(config)


def players_of(config: FrozenConfigDict) -> Players:
    networks = build_networks(config)
    generator, helpers = jit(functools.partial(init_generator, networks, config))(jax.random.key(0))
    init = jit(functools.partial(init_discriminators, networks, config))
    discriminators, stats = init(jax.random.key(1))
    pretrained = {}
    if networks.features is not None:
        rng = np.random.default_rng(0)
        shapes = features.describe("squeezenet")[1]

        def draw(leaf):
            fan_in = max(1, int(np.prod(leaf.shape[:-1])))
            return rng.normal(0, np.sqrt(2 / fan_in), leaf.shape).astype(np.float32)

        pretrained["features"] = jax.tree.map(draw, shapes)
    return Players(networks, config, generator, helpers, discriminators, stats, pretrained)


def terms_of_both(players, images):
    """The generator's terms, its pairs, and the discriminators' terms."""

    @jit
    def terms(images):
        of_generator, outputs = generator_terms(players, images, KEY, use_adversarial=True)
        pairs = outputs.pairs
        of_judges, _ = discriminator_terms(players, pairs, images, KEY, use_r1=True)
        return of_generator, pairs, of_judges

    return terms(images)


def test_views_are_what_they_are_called(images):
    config = config_with()
    x = images["style"]
    assert shown("main", x, {}, KEY, config) is x
    grey = np.asarray(shown("grey", x, images, KEY, config))
    np.testing.assert_array_equal(grey[..., 0], grey[..., 1])
    # Of weights that sum to 1, of each image its own.
    weights = [np.linalg.lstsq(x[i].reshape(-1, 3), grey[i, ..., 0].ravel())[0] for i in (0, 1)]
    for i in (0, 1):
        np.testing.assert_allclose(x[i] @ weights[i], grey[i, ..., 0], atol=1e-5)
        assert weights[i].sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(weights[0] - weights[1]).max() > 1e-3
    np.testing.assert_allclose(
        shown("surface", x, images, KEY, config), guided_filter(x, x, 5, 0.2), atol=1e-5
    )


def test_augmentation_is_each_images_own_and_of_all_adversaries(images):
    config = config_with(
        **{
            "losses.adversarial.augment": ("color", "translation", "cutout"),
            "losses.adversarial.augment_strength": 0.5,
        }
    )
    x = images["style"]
    for name in ("main", "backward", "grey", "surface"):
        whole = shown(name, x, images, KEY, config)
        assert np.abs(whole - x).max() > 0.1
        one = shown(name, x[1:], {"index": jnp.array([1])}, KEY, config)
        np.testing.assert_allclose(one[0], whole[1], atol=1e-5)
    assert shown("support", x, images, KEY, config) is x


@pytest.mark.parametrize("discriminator", [None, PROJECTED])
def test_each_view_has_a_discriminator_of_its_own(images, discriminator):
    config = config_with(
        discriminator,
        **{
            "losses.adversarial.views": ("color", "grey"),
            "losses.adversarial.augment": ("color", "translation"),
        },
    )
    players = players_of(config)
    of_generator, pairs, of_judges = terms_of_both(players, images)
    assert set(of_judges) == {"real", "fake", "grey/real", "grey/fake"}
    total = 0.0
    for name, prefix in (("main", ""), ("grey", "grey/")):
        np.testing.assert_array_equal(pairs[name][0], images["style"])
        module = players.networks.discriminators[name]

        def logits(x, key, name=name, module=module):
            x = shown(name, x, images, key, config)
            if discriminator:
                parameters = players.pretrained["features"]
                x = players.networks.features.apply(parameters, x, LAYERS)
            variables = {"params": players.discriminators[name], "batch_stats": players.stats[name]}
            return jit(module.apply)(variables, x)

        def mean(function, x, key, logits=logits):
            heads = jax.tree.leaves(logits(x, key))
            assert len(heads) == (2 if discriminator else 1)
            return np.mean([function(np.asarray(head)).mean() for head in heads])

        fake = pairs[name][1]
        generator_key = named_key(named_key(KEY, "adversarial"), name)
        total += mean(lambda d: -d, fake, generator_key)
        keys = {b: named_key(named_key(named_key(KEY, name), "shown"), b) for b in ("real", "fake")}
        real_loss = mean(lambda d: np.maximum(0, 1 - d), images["style"], keys["real"])
        fake_loss = mean(lambda d: np.maximum(0, 1 + d), fake, keys["fake"])
        np.testing.assert_allclose(of_judges[f"{prefix}real"], real_loss, rtol=1e-4)
        np.testing.assert_allclose(of_judges[f"{prefix}fake"], fake_loss, rtol=1e-4)
    np.testing.assert_allclose(of_generator["adversarial"], total, rtol=1e-3, atol=1e-5)


def test_a_discriminator_of_features_passes_gradients_to_the_picture_alone(images):
    players = players_of(config_with(PROJECTED, **{"losses.r1.weight": 1.0}))

    def loss(x, discriminators, stats):
        now = dataclasses.replace(players, discriminators=discriminators, stats=stats)
        return adversarial.generator_loss("hinge", now.judge("main", x, images))

    gradient = jit(jax.grad(loss))(images["style"], players.discriminators, players.stats)
    assert np.abs(gradient).max() > 1e-6
    assert "mix_fire2" in players.stats["main"]
    # R1 is half the square of the gradient of the mean logit of each image.
    _, _, terms = terms_of_both(players, images)
    expected = np.square(2 * np.asarray(gradient)).sum() / 2 / 2
    np.testing.assert_allclose(terms["r1"], expected, rtol=1e-3)
    scaled = dataclasses.replace(
        players,
        pretrained=players.pretrained | {"scales": dict.fromkeys(LAYERS, jnp.float32(2.0))},
    )
    maps = players.see(images["style"], LAYERS)
    for layer, m in scaled.see(images["style"], LAYERS).items():
        np.testing.assert_allclose(2 * m, maps[layer], rtol=1e-6)
