import functools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.training.networks import build_networks, init_generator


def config_with(generator=None, **changes) -> FrozenConfigDict:
    config = default_config()
    if generator:
        config.generator = ConfigDict(generator)
    config.discriminator = changes.pop("discriminator", config.discriminator)
    config.update_from_flattened_dict(changes)
    return FrozenConfigDict(config)


NOISE = {"name": "dcgan", "image_size": 32}
REFUSED = {
    "content terms on noise": (NOISE, {"image_size": 32}, r"patch_nce is about content"),
    "another size of noise": (
        NOISE,
        {"image_size": 64, "losses.patch_nce.weight": 0.0},
        r"image_size is 64, dcgan makes pictures of 32 pixels and its discriminator takes",
    ),
    "pairs of noise": (
        NOISE,
        {"image_size": 32, "losses.patch_nce.weight": 0.0, "data.paired": True},
        r"data\.paired is about content, and dcgan",
    ),
    "guided noise": (
        NOISE,
        {"image_size": 32, "losses.patch_nce.weight": 0.0, "data.guides": ("painter:oil",)},
        r"data\.guides is about content",
    ),
    "noise cut at its own scale": (
        NOISE,
        {"image_size": 32, "losses.patch_nce.weight": 0.0, "data.content_sides": (64,)},
        r"data\.content_sides is about content",
    ),
    "a first phase of noise": (
        NOISE,
        {"image_size": 32, "losses.patch_nce.weight": 0.0, "initial_steps": 3},
        r"initial_steps is about content",
    ),
    "a cycle of pairs": (
        None,
        {"losses.cycle.weight": 1.0, "losses.adversarial.conditional": True},
        r"conditional is for pairs",
    ),
    "one that grows and one that does not": (
        {"name": "progan", "image_size": 16},
        {"image_size": 16, "losses.patch_nce.weight": 0.0, "growth.stages": (0.0, 0.3, 0.6)},
        r"progan and patch do not grow alike",
    ),
    "styles apart in a batch of one": (
        {"name": "microast"},
        {"losses.style_contrast.weight": 1.0, "losses.patch_nce.weight": 0.0, "batch_size": 1},
        r"give it 2 or more",
    ),
    "LPIPS through another network": (
        None,
        {"losses.lpips.weight": 1.0},
        r"sees through config\.features\.network",
    ),
    "styles without sources": (
        {"name": "realtime", "styles": 3},
        {},
        r"has 3 styles and config\.data\.styles names 0",
    ),
    "a discriminator of one style": (
        {"name": "realtime", "styles": 2},
        {"data.styles": ("a", "b")},
        r"config\.discriminator\.styles is 1; the generator has 2",
    ),
    "sources without styles": (None, {"data.styles": ("a", "b")}, r"realtime has one"),
    "a support tail elsewhere": (None, {"losses.support.weight": 1.0}, r"animegan3 only"),
    "a smoothed picture of nothing": (
        None,
        {"losses.smoothed_support.weight": 1.0},
        r"needs config\.losses\.support",
    ),
    "a style code of nothing": (
        None,
        {"losses.style_contrast.weight": 1.0},
        r"take a style image",
    ),
    "growing what cannot grow": (
        None,
        {"growth.stages": (0.0, 0.5)},
        r"realtime does not",
    ),
    "stages that are missing": (
        {"name": "progan", "image_size": 16},
        {
            "image_size": 16,
            "losses.patch_nce.weight": 0.0,
            "discriminator": ConfigDict({"name": "progan", "image_size": 16}),
        },
        r"must name when each stage of progan begins",
    ),
    "a layer that is not there": (
        None,
        {"losses.gram.weight": 1.0, "losses.gram.layers": ("conv9_9",)},
        r"losses\.gram names the layer conv9_9; vgg19 has .*conv4_4",
    ),
    "neighbours in a layer that is not there": (
        None,
        {"losses.ccpl.weight": 1.0, "losses.ccpl.layers": ("conv9_9",)},
        r"losses\.ccpl names the layer conv9_9",
    ),
    "an evaluation in a style that the run does not have": (
        {"name": "microast"},
        {"evaluation.every": 8},
        r"evaluation\.every must be 0: what microast makes",
    ),
    "features that are not there": (
        None,
        {"discriminator": ConfigDict({"name": "projected", "layers": ("relu9_1",)})},
        r"config\.discriminator names the layer relu9_1; vgg19 has .*relu4_1",
    ),
    "features of two pictures at once": (
        None,
        {
            "discriminator": ConfigDict({"name": "projected"}),
            "losses.adversarial.conditional": True,
            "data.paired": True,
        },
        r"conditional shows the content, too, which the discriminator projected cannot take",
    ),
    "features of grey pictures": (
        {"name": "animegan3"},
        {"discriminator": ConfigDict({"name": "projected"}), "losses.support.weight": 1.0},
        r"projected cannot judge the grey pictures of config\.losses\.support",
    ),
    "a view beside the content": (
        None,
        {"losses.adversarial.conditional": True, "losses.adversarial.views": ("grey",)},
        r"adversarial\.views would change the result and not the content",
    ),
    "an augmented result beside the content": (
        None,
        {"losses.adversarial.conditional": True, "losses.adversarial.augment": ("color",)},
        r"adversarial\.augment would change the result and not the content",
    ),
    "views of a cycle": (
        None,
        {"losses.cycle.weight": 1.0, "losses.adversarial.views": ("color", "surface")},
        r"adversarial\.views must be \('color',\) where there is a cycle",
    ),
    "an unknown network": (
        None,
        {"losses.perceptual.weight": 1.0, "features.network": "resnet50"},
        r"no feature network 'resnet50'",
    ),
}


@pytest.mark.parametrize(("generator", "changes", "says"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_together_is_refused(generator, changes, says):
    with pytest.raises(UserError, match=says):
        build_networks(config_with(generator, **changes))


def test_only_what_a_config_needs_is_built():
    plain = build_networks(config_with(**{"losses.patch_nce.weight": 0.0}))
    assert not plain.helpers
    assert set(plain.discriminators) == {"main"}
    assert plain.features is None
    views = build_networks(config_with(**{"losses.adversarial.views": ("grey", "surface")}))
    assert set(views.discriminators) == {"grey", "surface"}
    projected = build_networks(config_with(discriminator=ConfigDict({"name": "projected"})))
    assert projected.features.name == "vgg19"
    cycle = build_networks(config_with(**{"losses.cycle.weight": 1.0}))
    assert set(cycle.helpers) == {"heads", "backward"}
    assert set(cycle.discriminators) == {"main", "backward"}


@pytest.mark.slow
def test_the_second_generator_of_a_cycle_starts_elsewhere():
    config = config_with(**{"losses.cycle.weight": 1.0})
    networks = build_networks(config)
    init = functools.partial(init_generator, networks, config)
    generator, helpers = jax.jit(init)(jax.random.key(0))
    pairs = zip(jax.tree.leaves(generator), jax.tree.leaves(helpers["backward"]), strict=True)
    assert any((a != b).any() for a, b in pairs)


@pytest.mark.slow
def test_what_a_network_starts_from_does_not_depend_on_which_others_there_are():
    alone, beside = (
        config_with(
            **{
                "generator.size": "nano",
                "losses.patch_nce.layers": (1, 2),
                "losses.cycle.weight": w,
            }
        )
        for w in (0.0, 1.0)
    )

    def heads(config):
        init = functools.partial(init_generator, build_networks(config), config)
        return jax.jit(init)(jax.random.key(0))[1]["heads"]

    jax.tree.map(np.testing.assert_array_equal, heads(alone), heads(beside))


def test_neighbours_are_compared_where_there_are_some():
    config = config_with(
        **{
            "image_size": 16,
            "generator.size": "nano",
            "features.network": "pca_kd_vgg",
            "losses.patch_nce.weight": 0.0,
            "losses.ccpl.weight": 1.0,
        }
    )
    networks = build_networks(config)
    assert set(networks.helpers) == {"difference_heads"}
    with pytest.raises(
        UserError, match=r"losses\.ccpl compares neighbours, and .* relu4_1 has less"
    ):
        init_generator(networks, config, jax.random.key(0))
