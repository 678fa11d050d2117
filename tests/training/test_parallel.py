"""One step, whatever the devices, micro-batches and the way it is compiled: the same parameters."""

import functools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.training import sharding, steps
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.networks import build_networks

pytestmark = pytest.mark.slow

STEPS = 2


def everything() -> ConfigDict:
    """Every kind of draw and of term: per image, per batch, between images, lazily, from a pool."""
    config = default_config()
    config.update_from_flattened_dict(
        {
            "steps": 10,
            "batch_size": 8,
            "image_size": 48,
            "generator.size": "nano",
            "discriminator.width": 8,
            "discriminator.layers": 1,
            # A bias below a norm has gradient zero, up to rounding, which Adam blows up.
            "discriminator.norm": "none",
            "data.brightness": 0.2,
            "data.saturation": 0.2,
            "data.noise": 0.1,
            "losses.adversarial.smooth_weight": 0.5,
            "losses.adversarial.pool": 8,
            "losses.r1.weight": 0.1,
            "losses.r1.every": 1,
            "losses.gradient_penalty.weight": 0.1,
            "losses.patch_nce.layers": (1, 2),
            "losses.patch_nce.patches": 8,
            "losses.patch_nce.width": 8,
            "losses.patch_nce.flip": True,
            "losses.palette.weight": 5.0,
            "losses.patches.weight": 1.0,
            "losses.total_variation.weight": 0.5,
            "losses.shift.weight": 1.0,
            "losses.warp.weight": 1.0,
            "losses.warp.noise": 0.1,
        }
    )
    for term in ("shift", "warp"):
        config.losses[term].schedule = ((0.0, 1.0),)
    return config


def any_style() -> ConfigDict:
    """Style codes, compared with one another."""
    config = everything()
    config.generator = ConfigDict({"name": "microast", "dtype": "float32"})
    config.losses.patch_nce.weight = 0.0
    for term in ("shift", "warp", "r1", "gradient_penalty", "palette", "patches"):
        config.losses[term].weight = 0.0
    config.data.noise = 0.0  # from which rounding grows, see below
    config.losses.adversarial.pool = 0
    config.losses.style_contrast.weight = 1.0
    config.losses.identity.weight = 0.0
    return config


@functools.cache
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    tops = {"content": 256, "style": 128, "style_smooth": 128}
    return {k: rng.integers(0, top, (8, 48, 48, 3), np.uint8) for k, top in tops.items()}


@functools.cache
def trained(recipe, devices: int, accumulation: int, parallelism: str):
    """The state after a few steps, and each step's figures, as NumPy arrays."""
    config = recipe()
    config.accumulation, config.parallelism = accumulation, parallelism
    check_config(config)
    config = FrozenConfigDict(config)
    networks = build_networks(config)
    mesh = sharding.make_mesh(devices, config.batch_size, accumulation)

    @functools.cache
    def compiled(updates):
        step = functools.partial(
            steps.train_step, networks=networks, config=config, updates=updates
        )
        return sharding.parallel_step(step, mesh, parallelism)

    init = functools.partial(steps.init_state, networks, config)
    state = jax.jit(init, out_shardings=sharding.replicated(mesh))(jax.random.key(0))
    metrics = []
    for i in range(STEPS):
        state, terms = compiled(steps.updates_at(i, config))(
            state, sharding.split_batch(batch(), mesh), {}
        )
        metrics.append(jax.device_get(terms))
    assert len(state.step.sharding.device_set) == devices
    return jax.device_get(state.replace(key=jax.random.key_data(state.key))), metrics


@pytest.mark.parametrize(
    ("recipe", "devices", "accumulation", "parallelism"),
    [
        (everything, 4, 1, "jit"),
        (everything, 1, 4, "jit"),
        (everything, 2, 2, "pmap"),
        (any_style, 2, 2, "pmap"),
    ],
)
def test_it_trains_as_on_one_device_at_once(recipe, devices, accumulation, parallelism):
    one, one_figures = trained(recipe, 1, 1, "jit")
    state, metrics = trained(recipe, devices, accumulation, parallelism)
    # Sums add up in another order.
    close = functools.partial(np.testing.assert_allclose, rtol=2e-3)
    for field in ("generator_optimizer", "discriminator_optimizer"):
        jax.tree.map(
            functools.partial(close, atol=2e-5), getattr(state, field), getattr(one, field)
        )
    if recipe is everything:
        # Two steps move a parameter by up to 4e-4. (MicroAST has biases below norms: their gradient
        # is zero up to rounding, which Adam blows up.)
        jax.tree.map(functools.partial(close, atol=1e-5), state, one)
    for ours, theirs in zip(metrics, one_figures, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            close(ours[name], theirs[name], err_msg=name)


def test_a_batch_must_divide_into_micro_batches_of_all_devices():
    with pytest.raises(UserError, match="4 devices x 4 micro-batches"):
        sharding.make_mesh(4, 8, 4)
    config = everything()
    config.accumulation = 3
    with pytest.raises(UserError, match="accumulation is 3; it must be a divisor of batch_size"):
        check_config(config)


def test_another_parallelism_is_refused():
    config = everything()
    config.parallelism = "pjit"
    with pytest.raises(UserError, match="parallelism is pjit; it must be jit or pmap"):
        check_config(config)


def test_pmap_is_refused_where_images_are_compared_inside_a_network():
    config = default_config()
    config.parallelism = "pmap"
    config.image_size = 32
    config.generator = ConfigDict({"name": "dcgan", "image_size": 32, "dtype": "float32"})
    config.discriminator = ConfigDict({"name": "dcgan", "image_size": 32, "dtype": "float32"})
    config.losses.patch_nce.weight = 0.0
    with pytest.raises(UserError, match=r'dcgan or its discriminator compares .* give "jit"'):
        build_networks(FrozenConfigDict(config))
