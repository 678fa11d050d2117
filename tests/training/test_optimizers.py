import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.training import sharding, steps
from jaxstyle.training.checkpoint import Checkpoints
from jaxstyle.training.networks import build_networks
from jaxstyle.training.optimizers import build_optimizer

SHAPES = {
    "conv": {"kernel": (3, 3, 6, 16), "bias": (16,)},
    "wide": {"kernel": (1, 1, 4, 32)},
    "norm": {"scale": (16,)},
    "dense": {"kernel": (8, 5)},
}
IS_SHAPE = {"is_leaf": lambda x: isinstance(x, tuple)}


def settings(kind, b1=0.9):
    return FrozenConfigDict({"kind": kind, "b1": b1, "b2": 0.999, "learning_rate": 1.0})


def gradients(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: (scale * rng.normal(size=shape)).astype(np.float32), SHAPES, **IS_SHAPE
    )


def directions(optimizer, *gradients):
    """The last of the directions, and the state after it."""
    update = jax.jit(optimizer.update)
    # Optax counts on implicit promotion.
    with jax.numpy_dtype_promotion("standard"):
        state = jax.jit(optimizer.init)(gradients[0])
        for gradient in gradients:
            direction, state = update(gradient, state, gradient)
    return direction, state


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_adam_is_that_of_optax():
    several = [gradients(seed) for seed in range(3)]
    ours = directions(build_optimizer(settings("adam", 0.7)), *several)
    # With the very state, so that runs from before there was a choice go on.
    assert_same(ours, directions(optax.scale_by_adam(b1=0.7, b2=0.999), *several))


def test_muon_steps_in_all_directions_of_a_convolution_alike():
    """As a matrix from all inputs that it sees to its outputs, its singular values are one."""
    # Some directions have a gradient that is ten times as strong.
    gradient = gradients()
    strong = np.float32([10.0] * 4 + [1.0] * 12).reshape(1, 1, 1, 16)
    gradient["conv"]["kernel"] *= strong
    direction, _ = directions(build_optimizer(settings("muon")), gradient)
    for name in ("conv", "wide"):
        given, step = (np.asarray(g[name]["kernel"]) for g in (gradient, direction))
        assert step.dtype == np.float32
        matrix, before = (kernel.reshape(-1, kernel.shape[-1]) for kernel in (step, given))
        values, values_before = (np.linalg.svd(m, compute_uv=False) for m in (matrix, before))
        if name == "conv":
            assert values_before.max() > 10 * values_before.min()
        # The five iterations of Newton and Schulz bring them to about this; 1.7 is the ratio of
        # the bounds that Jordan et al. give.
        assert values.max() < 1.75 * values.min()
        # Adam's steps are of this size, by which it takes the same learning rates.
        np.testing.assert_allclose(np.sqrt(np.mean(step**2)), 0.2, rtol=0.15)
        # The directions themselves are those of the gradient: U V^T of its U S V^T.
        u, _, vt = np.linalg.svd(before, full_matrices=False)
        cosine = np.sum(matrix * (u @ vt)) / np.linalg.norm(matrix) / np.linalg.norm(u @ vt)
        assert cosine > 0.97


def test_how_strong_a_gradient_is_does_not_matter_to_muon():
    optimizer = build_optimizer(settings("muon"))
    weak, strong = (directions(optimizer, gradients(scale=s))[0] for s in (1e-3, 1e3))
    for name in ("conv", "wide"):
        np.testing.assert_allclose(weak[name]["kernel"], strong[name]["kernel"], atol=1e-4)
    nothing, _ = directions(optimizer, gradients(scale=0.0))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(nothing))


def test_what_is_no_convolution_is_left_to_adam():
    several = [gradients(seed) for seed in range(3)]
    found, _ = directions(build_optimizer(settings("muon", 0.7)), *several)
    adam, _ = directions(optax.scale_by_adam(b1=0.7, b2=0.999), *several)
    for network, name in (("conv", "bias"), ("norm", "scale"), ("dense", "kernel")):
        np.testing.assert_array_equal(found[network][name], adam[network][name])
    assert np.abs(found["conv"]["kernel"] - adam["conv"]["kernel"]).max() > 0.1


@pytest.mark.slow
def test_b1_is_how_long_muon_remembers():
    first, second = gradients(0), gradients(1)
    likeness = []
    for b1 in (0.0, 0.5, 0.9):
        optimizer = build_optimizer(settings("muon", b1))
        after_both, alone = (
            np.ravel(directions(optimizer, *given)[0]["conv"]["kernel"])
            for given in ((first, second), (second,))
        )
        cosine = after_both @ alone / np.linalg.norm(after_both) / np.linalg.norm(alone)
        likeness.append(float(cosine))
    np.testing.assert_allclose(likeness[0], 1, atol=1e-4)
    assert 0.999 > likeness[1] > likeness[2] + 0.05


# ---- In training ---------------------------------------------------------------------------------


def with_muon(config: ConfigDict, **changes) -> FrozenConfigDict:
    for name in ("generator", "discriminator"):
        config.optimizer[name].update({"kind": "muon", "b1": 0.9})
    config.update_from_flattened_dict({"steps": 10, "losses.patch_nce.weight": 0.0, **changes})
    return FrozenConfigDict(config)


@pytest.fixture(scope="module")
def small() -> FrozenConfigDict:
    config = default_config()
    config.generator.size = "nano"
    config.discriminator.update({"width": 8, "layers": 1})
    return with_muon(config, batch_size=2, image_size=32)


def trainer(config, networks, updates):
    step = functools.partial(steps.train_step, networks=networks, config=config, updates=updates)
    return jax.jit(
        lambda state, batch: step(state, batch, {}),
        compiler_options={"xla_backend_optimization_level": 0},
    )


def pictures(count, side):
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)


def as_numbers(state):
    return state.replace(key=jax.random.key_data(state.key))


@pytest.mark.slow
def test_a_run_with_muon_goes_on_from_its_checkpoint_as_if_nothing_had_been(small, tmp_path):
    networks = build_networks(small)
    step = trainer(small, networks, steps.updates_at(0, small))
    batch = {"content": pictures(2, 32), "style": pictures(2, 32)[::-1] // 2}
    init = jax.jit(functools.partial(steps.init_state, networks, small))
    mesh = sharding.make_mesh(1, 2)
    first, _ = step(sharding.replicate(init(jax.random.key(0)), mesh), batch)
    for field in ("generator", "discriminators"):
        before = getattr(init(jax.random.key(0)), field)
        changes = jax.tree.map(lambda a, b: np.abs(a - b).max(), getattr(first, field), before)
        assert max(jax.tree.leaves(changes)) > 0

    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, first, {"next_batch": 1})
    blank = sharding.replicate(init(jax.random.key(1)), mesh)
    restored = checkpoints.restore(blank).state
    checkpoints.close()
    assert_same(as_numbers(restored), as_numbers(first))
    uninterrupted, metrics = step(first, batch)
    resumed, figures_resumed = step(restored, batch)
    assert_same(as_numbers(resumed), as_numbers(uninterrupted))
    assert_same(figures_resumed, metrics)


@pytest.mark.slow
def test_a_stage_that_begins_forgets_the_past_and_not_how_muon_works():
    config = default_config()
    config.generator = ConfigDict({"name": "progan", "width": 8, "latent": 8, "image_size": 16})
    config.discriminator = ConfigDict({"name": "progan", "width": 8, "image_size": 16})
    config.growth.stages = (0.0, 0.2, 0.6)
    config = with_muon(config, image_size=16)
    networks = build_networks(config)
    step = trainer(config, networks, steps.updates_at(2, config))
    init = jax.jit(functools.partial(steps.init_state, networks, config))
    fresh = init(jax.random.key(0)).replace(step=jnp.int32(2))
    # Directions and counts of a stage before, in which the new layers had no part.
    past = {
        name: jax.tree.map(lambda leaf: leaf + jnp.ones_like(leaf), getattr(fresh, name))
        for name in ("generator_optimizer", "discriminator_optimizer")
    }
    batch = {"style": pictures(4, 16)}
    from_fresh, from_past = (step(state, batch)[0] for state in (fresh, fresh.replace(**past)))
    assert_same(as_numbers(from_past), as_numbers(from_fresh))
    pairs = zip(*map(jax.tree.leaves, (from_past.generator, fresh.generator)), strict=True)
    assert any((after != before).any() for after, before in pairs if before.ndim == 4)
