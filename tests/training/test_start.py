"""Training that begins at a trained generator."""

import functools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.branches import fold
from jaxstyle.models.examples import init_parameters
from jaxstyle.training import steps
from jaxstyle.training.networks import build_networks
from jaxstyle.training.start import load_start, started_from

NANO = {"name": "realtime", "size": "nano", "dtype": "float32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bundle of `NANO`, and its parameters, all of which differ from those that are drawn."""
    path = tmp_path_factory.mktemp("start") / "soft.safetensors"
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(
        functools.partial(init_parameters, build_generator(NANO), image_size=32), jax.random.key(0)
    )
    parameters = jax.tree.map(lambda p: rng.normal(0, 0.1, p.shape).astype(np.float32), shapes)
    save_bundle(path, parameters, {"generator": NANO})
    return path, parameters


def config_of(path, generator=NANO, **changes) -> FrozenConfigDict:
    config = default_config()
    config.start = str(path)
    config.image_size = 32
    config.generator = ConfigDict(generator)
    config.losses.patch_nce.layers = (0, 1)
    config.discriminator.update({"width": 8, "layers": 1})
    with config.discriminator.unlocked():
        config.discriminator.styles = 1
    config.update_from_flattened_dict(changes)
    return FrozenConfigDict(config)


def same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.slow
def test_generator_and_average_start_there_and_all_else_as_ever(trained):
    path, parameters = trained
    config = config_of(path)
    networks = build_networks(config)
    init = jax.jit(functools.partial(steps.init_state, networks, config))
    start = load_start(networks, config)
    plain, state = init(jax.random.key(1)), init(jax.random.key(1), start)
    same(state.generator, parameters)
    same(state.ema, parameters)
    for name in ("helpers", "discriminators"):
        same(getattr(state, name), getattr(plain, name))
    # It is not the buffer that the step may overwrite.
    state.generator["stem"]["kernel"].delete()
    same(start, parameters)


@pytest.mark.slow
def test_branches_start_as_the_convolutions_that_they_amount_to(trained):
    path, parameters = trained
    config = config_of(path, NANO | {"branches": True})
    networks = build_networks(config)
    drawn = init_parameters(networks.generator, jax.random.key(1), 32)
    started = started_from(drawn, load_start(networks, config))
    same(jax.tree.map(np.shape, started), jax.tree.map(np.shape, drawn))
    same(fold(networks.generator, started)[1], parameters)


def test_another_architecture_is_refused(trained):
    path, _ = trained
    styles = {"data.styles": ("a", "b"), "discriminator.styles": 2}
    for generator, changes, says in (
        ({"name": "resnet"}, {}, r"a generator of realtime, and config\.generator is resnet"),
        (NANO | {"size": "tiny"}, {}, r"whose block_0/Conv_0/bias is \(16,\); .* \(24,\)"),
        (NANO | {"styles": 2}, styles, r"whose block_0/style_0/scale is missing"),
    ):
        config = config_of(path, generator, **changes)
        with pytest.raises(UserError, match=says) as error_info:
            load_start(build_networks(config), config)
        assert "\n" not in str(error_info.value)


def test_a_start_that_is_not_there_is_told(tmp_path):
    config = config_of(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="no model at"):
        load_start(build_networks(config), config)
