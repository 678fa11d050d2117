"""The residual generator against a forward pass in NumPy, written from the layer list."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.models.resnet import ReflectConv, ResnetGenerator

pytestmark = pytest.mark.slow


def count(parameters):
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def conv(x, weights, mode, stride=1):
    kernel = weights["kernel"]
    k = kernel.shape[0]
    x = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)), mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))
    windows = windows[::stride, ::stride]
    return np.einsum("hwcij,ijco->hwo", windows, kernel) + weights["bias"]


def norm(x):
    return (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)


def norm_relu(x):
    return np.maximum(norm(x), 0)


def upsample(x):
    """Bilinear: three quarters of the nearer pixel, a quarter of the farther."""
    for axis in (0, 1):
        x = np.moveaxis(x, axis, 0)
        edged = np.concatenate([x[:1], x, x[-1:]])
        pairs = np.stack([0.75 * x + 0.25 * edged[:-2], 0.75 * x + 0.25 * edged[2:]], axis=1)
        x = np.moveaxis(pairs.reshape(-1, *x.shape[1:]), 0, axis)
    return x


def reference(x, weights, blocks):
    features = [x]
    y = norm_relu(conv(x, weights["stem"]["conv"], "reflect"))
    for i in (0, 1):
        features.append(conv(y, weights[f"down{i}"], "constant", stride=2))
        y = norm_relu(features[-1])
    residuals = []
    for i in range(blocks):
        block = weights[f"block{i}"]
        z = norm_relu(conv(y, block["conv0"]["conv"], "reflect"))
        y = y + norm(conv(z, block["conv1"]["conv"], "reflect"))
        residuals.append(y)
    for i in (0, 1):
        y = norm_relu(conv(upsample(y), weights[f"up{i}"], "constant"))
    output = np.tanh(conv(y, weights["out"]["conv"], "reflect"))
    return output, [*features, residuals[0], residuals[blocks // 2]]


def test_output_and_features_equal_the_reference():
    generator = ResnetGenerator(width=6, blocks=3)
    x = jax.random.uniform(jax.random.key(0), (2, 16, 24, 3), minval=-1, maxval=1)
    random = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda a: random.normal(0, 0.1, a.shape).astype(np.float32),
        jax.eval_shape(generator.init, jax.random.key(0), x)["params"],
    )
    output, features = jax.jit(lambda p: generator.apply({"params": p}, x, return_features=True))(
        parameters
    )
    weights = jax.tree.map(lambda a: np.asarray(a, np.float64), parameters)
    for i, image in enumerate(np.asarray(x, np.float64)):
        expected, expected_features = reference(image, weights, blocks=3)
        np.testing.assert_allclose(output[i], expected, atol=1e-4)
        for ours, theirs in zip(features, expected_features, strict=True):
            np.testing.assert_allclose(ours[i], theirs, atol=1e-3)


def test_published_size_and_the_five_features_of_cut():
    generator = ResnetGenerator()
    x = jnp.zeros((1, 256, 256, 3))
    variables = jax.eval_shape(generator.init, jax.random.key(0), x)
    assert count(variables["params"]) == 11_378_179
    output, features = jax.eval_shape(
        lambda v: generator.apply(v, x, return_features=True), variables
    )
    assert output.shape == x.shape
    assert [f.shape[1:] for f in features] == [
        (256, 256, 3),
        (128, 128, 128),
        (64, 64, 256),
        (64, 64, 256),
        (64, 64, 256),
    ]


def test_weights_start_normal_with_the_published_deviation():
    parameters = ReflectConv(32).init(jax.random.key(0), jnp.zeros((1, 4, 4, 32)))["params"]
    np.testing.assert_allclose(parameters["conv"]["kernel"].std(), 0.02, rtol=0.05)
    assert not parameters["conv"]["bias"].any()
