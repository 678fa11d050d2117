"""Perceptual terms: which pictures they compare, and how, with a network of random weights."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle import features
from jaxstyle.config import default_config
from jaxstyle.losses import perceptual
from jaxstyle.losses.color import lab_color_loss
from jaxstyle.losses.smoothing import guided_filter, l0_smooth, superpixels
from jaxstyle.models.animegan3 import AnimeGan3Tail
from jaxstyle.training.accumulation import mean_gradients
from jaxstyle.training.networks import build_networks, init_discriminators, init_generator
from jaxstyle.training.objectives.generator import compared_terms, generator_terms
from jaxstyle.training.objectives.players import Players

pytestmark = pytest.mark.slow

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

GREY = np.array([0.299, 0.587, 0.114], np.float32)
LAYERS = ("fire2", "fire4")


@pytest.fixture(scope="module")
def squeezenet():
    """The network, and random parameters."""
    network, shapes = features.describe("squeezenet")
    rng = np.random.default_rng(0)

    def draw(leaf):
        fan_in = max(1, int(np.prod(leaf.shape[:-1])))
        return rng.normal(0, np.sqrt(2 / fan_in), leaf.shape).astype(np.float32)

    return network, jax.tree.map(draw, shapes)


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    names = ("content", "style", "style_smooth")
    return {name: rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32) for name in names}


def players_of(squeezenet, generator=None, discriminator=None, **changes) -> Players:
    config = default_config()
    config.image_size = 64
    config.generator.size = "tiny"
    config.features.network = "squeezenet"
    for name, given in (("generator", generator), ("discriminator", discriminator)):
        if given:
            config[name] = ConfigDict(given)
    config.losses.patch_nce.weight = 0.0
    config.losses.adversarial.weight = 0.0
    config.update_from_flattened_dict(changes)
    config = FrozenConfigDict(config)
    networks = build_networks(config)
    generator, helpers = jit(functools.partial(init_generator, networks, config))(jax.random.key(0))
    discriminators, stats = jit(functools.partial(init_discriminators, networks, config))(
        jax.random.key(1)
    )
    generator = jax.tree.map(lambda p: p + 0.01, generator)
    pretrained = {"features": squeezenet[1]}
    return Players(networks, config, generator, helpers, discriminators, stats, pretrained)


def terms_of(players: Players, images):
    def terms(images):
        return generator_terms(players, images, jax.random.key(4), use_adversarial=True)

    return jit(terms)(images)


def see(squeezenet, x, layers=LAYERS):
    network, parameters = squeezenet
    return _seen(network, layers)(parameters, x)


@functools.cache
def _seen(network, layers):
    return jit(lambda parameters, x: network.apply(parameters, x, layers))


def grey(x):
    return np.repeat((np.asarray(x) @ GREY)[..., None], 3, axis=-1)


@pytest.mark.parametrize("target", ["content", "style"])
def test_content_is_compared_by_what_the_network_sees(squeezenet, images, target):
    players = players_of(
        squeezenet,
        **{
            "losses.perceptual.weight": 1.0,
            "losses.perceptual.layers": LAYERS,
            "losses.perceptual.target": target,
            "data.paired": True,
        },
    )
    terms, outputs = terms_of(players, images)
    found, wanted = see(squeezenet, outputs.fake), see(squeezenet, images[target])
    expected = np.mean([np.abs(found[layer] - wanted[layer]).mean() for layer in LAYERS])
    np.testing.assert_allclose(terms["perceptual"], expected, rtol=1e-4)


@pytest.mark.parametrize("in_grey", [False, True])
def test_gram_matrices_of_result_and_style(squeezenet, images, in_grey):
    players = players_of(
        squeezenet,
        **{
            "losses.gram.weight": 1.0,
            "losses.gram.layers": LAYERS,
            "losses.gram.layer_weights": (2.0, 0.5),
            "losses.gram.grey": in_grey,
            "losses.statistics.weight": 1.0,
            "losses.statistics.layers": ("fire3",),
        },
    )
    terms, outputs = terms_of(players, images)
    found = see(squeezenet, outputs.fake)
    wanted = see(squeezenet, grey(images["style"]) if in_grey else images["style"])

    def gram(maps):
        flat = np.asarray(maps).reshape(2, -1, maps.shape[-1])
        return np.einsum("npc,npd->ncd", flat, flat) / flat[0].size

    expected = sum(
        weight * np.abs(gram(found[layer]) - gram(wanted[layer])).mean()
        for layer, weight in zip(LAYERS, (2.0, 0.5), strict=True)
    )
    np.testing.assert_allclose(terms["gram"], expected, rtol=1e-3)
    maps = [see(squeezenet, x, ("fire3",))["fire3"] for x in (outputs.fake, images["style"])]
    expected = jit(perceptual.statistics_loss)(*maps)
    np.testing.assert_allclose(terms["statistics"], expected, rtol=1e-4)


def test_gram_matrices_of_the_whole_batch(squeezenet, images):
    changes = {"losses.batch_gram.weight": 1.0, "losses.batch_gram.layers": LAYERS}
    terms, outputs = terms_of(players_of(squeezenet, **changes), images)
    expected = 0
    for found, wanted in zip(
        see(squeezenet, outputs.fake).values(),
        see(squeezenet, images["style"]).values(),
        strict=True,
    ):
        ours, theirs = (
            np.einsum("nhwc,nhwd->cd", maps, maps, dtype=np.float64) / np.size(maps)
            for maps in (np.asarray(found), np.asarray(wanted))
        )
        expected += np.abs(ours - theirs).mean() / np.abs(theirs).mean()
    np.testing.assert_allclose(terms["batch_gram"], expected, rtol=1e-3)


def test_the_batchs_gram_matrices_are_those_of_all_micro_batches(squeezenet, images):
    """Value and gradient, with two images computed one after the other."""
    changes = {"losses.batch_gram.weight": 1.0, "losses.batch_gram.layers": LAYERS}
    indexed = images | {"index": np.arange(2)}
    found = []
    for parts in (1, 2):
        players = players_of(squeezenet, **changes, accumulation=parts, batch_size=2)
        found.append(_value_and_gradient(players, indexed, "batch_gram", parts))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=1e-5), found[1], found[0]
    )


def _value_and_gradient(players, images, name, parts):
    """A term and its gradient, with the images in so many micro-batches."""
    key = jax.random.key(4)

    def loss(generator, part):
        images, compared = part
        now = dataclasses.replace(players, generator=generator)
        terms, _ = generator_terms(now, images, key, use_adversarial=True, compared=compared)
        return terms[name], (terms, ())

    @jit
    def measured(generator, images):
        compared = compared_terms(players, images, key) if parts > 1 else None
        metrics, _, gradients = mean_gradients(
            loss, generator, (images, compared), count=parts, axis=None
        )
        return metrics[name], gradients

    return measured(players.generator, images)


def test_neighbours_differ_in_the_result_as_in_the_content(squeezenet, images):
    """CCPL, with all positions inside, in any order: the sum over layers is the same."""
    changes = {"losses.ccpl.weight": 1.0, "losses.ccpl.layers": LAYERS}
    more = {"losses.ccpl.positions": 1000, "losses.ccpl.width": 5, "losses.ccpl.temperature": 0.2}
    players = players_of(squeezenet, **changes, **more)
    terms, outputs = terms_of(players, images)
    heads = jax.device_get(players.helpers["difference_heads"])
    found, wanted = see(squeezenet, outputs.fake), see(squeezenet, images["content"])
    expected = 0
    for number, layer in enumerate(LAYERS):

        def projected(maps, number=number):
            maps = np.asarray(maps, np.float64)
            inside = maps[:, 1:-1, 1:-1]
            h, w = maps.shape[1:3]
            d = np.stack(
                [inside - maps[:, i : h - 2 + i, j : w - 2 + j] for i, j in np.ndindex(3, 3)], 3
            )
            d = np.delete(d, 4, axis=3).reshape(len(maps), -1, maps.shape[-1])
            for name in ("hidden", "out"):
                layer = heads[f"{name}_{number}"]
                d = d @ layer["kernel"] + layer["bias"]
                d = np.maximum(d, 0) if name == "hidden" else d
            return d / np.sqrt((d**2).sum(-1, keepdims=True) + 1e-12)

        q, r = projected(found[layer]), projected(wanted[layer])
        logits = np.einsum("npc,nqc->npq", q, r) / 0.2
        alike = np.einsum("npp->np", logits)
        expected += (np.log(np.exp(logits).sum(-1)) - alike).mean()
    np.testing.assert_allclose(terms["ccpl"], expected, rtol=1e-3)


def test_lpips_of_result_and_content(squeezenet, images):
    players = players_of(squeezenet, **{"losses.lpips.weight": 1.0})
    layers = features.LPIPS_LAYERS
    seen = see(squeezenet, images["content"], layers)
    content = [seen[layer] for layer in layers]
    heads = tuple(np.linspace(0, 1, maps.shape[-1], dtype=np.float32) for maps in content)
    players = dataclasses.replace(players, pretrained={**players.pretrained, "lpips_heads": heads})
    terms, outputs = terms_of(players, images)
    seen = see(squeezenet, outputs.fake, layers)
    found = [seen[layer] for layer in layers]
    expected = jit(perceptual.lpips)(found, content, heads).mean()
    assert expected > 0
    np.testing.assert_allclose(terms["lpips"], expected, rtol=1e-4)


def test_animegan3s_second_tail_and_what_the_main_one_learns_from_it(squeezenet, images):
    changes = {
        "losses.support.weight": 1.0,
        "losses.support.layer": "fire5",
        "losses.support.gram_layers": LAYERS,
        "losses.support.gram_layer_weights": (1.0, 3.0),
        "losses.smoothed_support.weight": 50.0,
        "losses.perceptual.weight": 0.5,
        "losses.perceptual.layers": ("fire3",),
        "losses.perceptual.target": "support",
        "losses.perceptual.squared": True,
        "losses.adversarial.weight": 0.02,
    }
    players = players_of(squeezenet, {"name": "animegan3"}, {"name": "animegan3"}, **changes)
    terms, outputs = terms_of(players, images)
    generator = players.networks.generator

    @jit
    def both(x):
        fake, maps = generator.apply({"params": players.generator}, x, return_features=True)
        return fake, AnimeGan3Tail().apply({"params": players.helpers["support"]}, maps)

    fake, support = both(images["content"])
    np.testing.assert_allclose(outputs.fake, fake, atol=1e-4)
    smooth = np.asarray(jit(l0_smooth)(support))
    support = np.asarray(jit(lambda x: guided_filter(x, x, 2, 4e-2))(support))
    np.testing.assert_allclose(outputs.support.picture, support, atol=1e-4)
    np.testing.assert_allclose(terms["smoothed_support"], np.abs(fake - smooth).mean(), rtol=1e-3)

    fire3 = functools.partial(see, squeezenet, layers=("fire3",))
    main, target = (np.asarray(fire3(x)["fire3"]) for x in (fake, smooth))
    np.testing.assert_allclose(terms["perceptual"], np.square(main - target).mean(), rtol=1e-2)

    layer = "fire5"
    regions_of = jit(superpixels)
    seen, content, regions, content_regions = (
        np.asarray(see(squeezenet, x, (layer,))[layer])
        for x in (
            support,
            images["content"],
            regions_of(support),
            regions_of(images["content"]),
        )
    )
    texture, style = see(squeezenet, grey(support)), see(squeezenet, grey(images["style"]))

    def covariance(maps):
        flat = np.asarray(maps).reshape(2, -1, maps.shape[-1])
        flat = flat - flat.mean(axis=1, keepdims=True)
        return np.einsum("npc,npd->ncd", flat, flat) / flat[0].size

    expected = {
        "perceptual": np.abs(seen - content).mean(),
        "superpixels": np.abs(seen - regions).mean() + np.abs(seen - content_regions).mean(),
        "gram": sum(
            w * np.abs(covariance(texture[name]) - covariance(style[name])).mean()
            for name, w in zip(LAYERS, (1.0, 3.0), strict=True)
        ),
        "color": jit(lab_color_loss)(support, images["content"]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(terms[f"support/{name}"], value, rtol=2e-3, err_msg=name)

    # The support's discriminator sees grey; the main one asks for the smoothed picture.
    pairs = outputs.pairs
    np.testing.assert_allclose(pairs["support"][1][..., 0], support @ GREY, atol=1e-3)
    np.testing.assert_allclose(pairs["support"][0][..., 0], images["style"] @ GREY, atol=1e-5)
    # A gradient near the threshold may be flattened in one and not in the other.
    assert np.abs(pairs["main"][0] - smooth).mean() < 1e-4


def test_reproducing_comes_first_by_what_the_network_sees(squeezenet, images):
    players = players_of(
        squeezenet,
        **{"losses.perceptual.weight": 1.0, "losses.perceptual.layers": LAYERS},
    )
    terms, outputs = generator_terms(players, images, jax.random.key(0), use_adversarial=False)
    found, wanted = see(squeezenet, outputs.fake), see(squeezenet, images["content"])
    expected = np.mean([np.abs(found[layer] - wanted[layer]).mean() for layer in LAYERS])
    assert set(terms) == {"perceptual"}
    np.testing.assert_allclose(terms["perceptual"], expected, rtol=1e-4)


def test_normalized_layers_count_alike(squeezenet, images):
    """Divided by what they are on other pictures, as training does with the embedded scenes."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    scales = features.mean_activations(*squeezenet, frames)
    found = see(squeezenet, frames.astype(np.float32) / 127.5 - 1, LAYERS)
    for layer in LAYERS:
        np.testing.assert_allclose(scales[layer], np.abs(found[layer]).mean(), rtol=1e-4)
    players = players_of(
        squeezenet, **{"losses.perceptual.weight": 1.0, "losses.perceptual.layers": LAYERS}
    )
    players = dataclasses.replace(players, pretrained={**players.pretrained, "scales": scales})
    plain = see(squeezenet, images["content"])
    normalized = jit(lambda x: players.see(x, LAYERS))(images["content"])
    for layer in LAYERS:
        np.testing.assert_allclose(normalized[layer], plain[layer] / scales[layer], rtol=1e-4)
