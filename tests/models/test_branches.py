import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxstyle.inference import bundle
from jaxstyle.models import build_generator
from jaxstyle.models.branches import BranchedConv, fold
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow

SOBEL_X = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


@functools.cache
def generator(**options):
    return build_generator({"name": "realtime", "size": "nano", "branches": True, **options})


@functools.cache
def shapes(generator):
    return jax.eval_shape(lambda key: init_parameters(generator, key, 16), jax.random.key(0))


def random_parameters(generator):
    """None of them zero, as many of the untrained generator's are."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: jnp.asarray(random.normal(0, 0.1, a.shape), jnp.float32), shapes(generator)
    )


def convolve(x, kernel):
    """A zero-padded convolution of [H, W, I] with [h, w, I, O], channel by channel."""
    sums = [
        sum(signal.correlate(x[..., i], kernel[..., i, o], "same") for i in range(x.shape[-1]))
        for o in range(kernel.shape[-1])
    ]
    return np.stack(sums, axis=-1)


def test_the_convolution_is_the_sum_of_its_branches_up_to_the_border():
    x = np.random.default_rng(1).normal(size=(1, 5, 7, 3)).astype(np.float32)
    module = BranchedConv(features=2)
    like = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    random = np.random.default_rng(2)
    p = jax.tree.map(lambda a: random.normal(size=a.shape).astype(np.float32), like)
    expected = convolve(x[0], p["kernel"]) + p["bias"]
    expected += convolve(x[0] @ p["expand"], p["reduce"])
    for i, edge in enumerate([SOBEL_X, SOBEL_X.T, LAPLACIAN]):
        mixed = x[0] @ p["edge_mix"][i]
        filtered = [signal.correlate(mixed[..., o], edge, "same") for o in range(2)]
        expected += np.stack(filtered, axis=-1) * p["edge_scale"][i]
    np.testing.assert_allclose(module.apply({"params": p}, x)[0], expected, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"styles": 2}], ids=["one style", "two styles"])
def test_the_folded_generator_is_the_plain_one_and_computes_the_same(options):
    branched = generator(**options)
    plain = build_generator({"name": "realtime", "size": "nano", **options})
    parameters = random_parameters(branched)
    folded, folded_parameters = fold(branched, parameters)
    assert folded == plain

    def described(tree):
        return jax.tree.map(lambda a: (a.shape, a.dtype), tree)

    assert described(folded_parameters) == described(shapes(plain))
    x = jax.random.uniform(jax.random.key(0), (1, 24, 32, 3), minval=-1, maxval=1)
    condition = (jnp.asarray([[0.3, 0.7]]),) if options else ()
    expected, expected_maps = branched.apply(
        {"params": parameters}, x, *condition, return_features=True
    )
    actual, maps = folded.apply({"params": folded_parameters}, x, *condition, return_features=True)
    assert jnp.abs(expected - x).max() > 0.1
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    for ours, theirs in zip(maps, expected_maps, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_it_starts_as_the_plain_generator_does():
    plain = build_generator({"name": "realtime", "size": "nano"})
    start = jax.jit(functools.partial(init_parameters, image_size=16), static_argnums=0)
    _, folded = fold(generator(), start(generator(), jax.random.key(3)))
    jax.tree.map(np.testing.assert_array_equal, folded, start(plain, jax.random.key(3)))
    same_generator, same_parameters = fold(plain, folded)
    assert same_generator is plain
    assert same_parameters is folded


def test_the_gradient_reaches_every_branch():
    branched = generator()
    x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 3), minval=-1, maxval=1)

    @jax.jit
    @jax.grad
    def gradient(parameters):
        return jnp.square(branched.apply({"params": parameters}, x)).mean()

    for path, leaf in jax.tree.leaves_with_path(gradient(random_parameters(branched))):
        assert jnp.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_a_folded_generator_is_saved_as_a_plain_one(tmp_path):
    folded, parameters = fold(generator(), random_parameters(generator()))
    path = tmp_path / "model.safetensors"
    bundle.save_bundle(path, parameters, {"generator": {"name": "realtime", "size": "nano"}})
    loaded = bundle.load_bundle(path)
    assert loaded.generator == folded
    jax.tree.map(np.testing.assert_array_equal, loaded.parameters, parameters)
