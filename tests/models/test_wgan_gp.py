"""WGAN-GP's networks against a forward pass in NumPy, and what their training asks of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.adversarial import gradient_penalty
from jaxstyle.models.layers import mean_pool, upsample_nearest
from jaxstyle.models.wgan_gp import WganGpCritic, WganGpGenerator

pytestmark = pytest.mark.slow


def random_parameters(module, example):
    """Of the scale that keeps signals alive; gains and biases are away from 1 and 0."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        if len(leaf.shape) == 1:
            return jnp.float32(rng.uniform(0.2, 1, leaf.shape))
        return jnp.float32(rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1])))

    shapes = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    return jax.tree.map(draw, shapes)


def in_numpy(parameters):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), parameters)


def conv(x, weights):
    """'SAME', of any odd kernel size, with its bias."""
    kernel = weights["kernel"]
    k = kernel.shape[0]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    return np.tensordot(windows, kernel, ([4, 5, 3], [0, 1, 2])) + weights["bias"]


def relu(x):
    return np.maximum(x, 0)


def norm(x, weights, axes):
    normalised = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(
        x.var(axis=axes, keepdims=True) + 1e-5
    )
    return normalised * weights["scale"] + weights["bias"]


def repeated(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def pooled(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def reference_generator(z, weights, width, blocks):
    batch = (0, 1, 2)
    y = (z @ weights["project"]["kernel"] + weights["project"]["bias"]).reshape(-1, 4, 4, width)
    for i in range(blocks):
        w = weights[f"block{i}"]
        main = conv(repeated(relu(norm(y, w["norm0"], batch))), w["conv0"])
        main = conv(relu(norm(main, w["norm1"], batch)), w["conv1"])
        y = conv(repeated(y), w["shortcut"]) + main
    return np.tanh(conv(relu(norm(y, weights["norm"], batch)), weights["out"]))


def reference_critic(x, weights, downs, normalise):
    image = (1, 2, 3)

    def norm_relu(y, w, name):
        return relu(norm(y, w[name], image) if normalise else y)

    w = weights["block0"]
    main = pooled(conv(relu(conv(x, w["conv0"])), w["conv1"]))
    y = conv(pooled(x), w["shortcut"]) + main
    for i in range(1, downs + 2):
        w = weights[f"block{i}"]
        main = conv(norm_relu(y, w, "norm0"), w["conv0"])
        main = conv(norm_relu(main, w, "norm1"), w["conv1"])
        # The paper's order: the shortcut's convolution first, then the mean.
        y = pooled(conv(y, w["shortcut"])) + pooled(main) if i < downs else y + main
    y = relu(y).mean(axis=(1, 2))
    return y @ weights["logit"]["kernel"] + weights["logit"]["bias"]


def test_resampling_is_that_of_numpy():
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    np.testing.assert_array_equal(upsample_nearest(x), repeated(np.asarray(x)))
    np.testing.assert_allclose(mean_pool(x), pooled(np.asarray(x)), atol=1e-6)


@pytest.mark.parametrize(("image_size", "blocks"), [(16, 2), (32, 3)])
def test_generator_equals_the_reference(image_size, blocks):
    generator = WganGpGenerator(latent=6, width=4, image_size=image_size)
    z = jax.random.normal(jax.random.key(0), (3, 6))
    parameters = random_parameters(generator, z)
    images = jax.jit(generator.apply)({"params": parameters}, z)
    assert images.shape == (3, image_size, image_size, 3)
    expected = reference_generator(np.asarray(z), in_numpy(parameters), 4, blocks)
    np.testing.assert_allclose(images, expected, atol=1e-3)


@pytest.mark.parametrize(("norm", "image_size", "downs"), [("none", 32, 2), ("layer", 64, 3)])
def test_critic_equals_the_reference(norm, image_size, downs):
    critic = WganGpCritic(width=4, image_size=image_size, norm=norm)
    x = jax.random.uniform(jax.random.key(0), (2, image_size, image_size, 3), minval=-1)
    parameters = random_parameters(critic, x)
    logits = jax.jit(critic.apply)({"params": parameters}, x)
    expected = reference_critic(np.asarray(x), in_numpy(parameters), downs, norm == "layer")
    np.testing.assert_allclose(logits, expected.reshape(2, 1, 1, 1), rtol=1e-3, atol=1e-3)


def test_critic_judges_each_image_by_itself():
    critic = WganGpCritic(width=4, image_size=16, norm="layer")
    x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 3), minval=-1)
    variables = {"params": random_parameters(critic, x)}
    together = critic.apply(variables, x)
    np.testing.assert_allclose(together[1:2], critic.apply(variables, x[1:2]), rtol=1e-4)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_gradient_penalty_can_be_trained_on(norm):
    """Its gradient, one through a gradient, is the slope of the penalty itself."""
    critic = WganGpCritic(width=4, image_size=16, norm=norm)
    real, fake = jax.random.uniform(jax.random.key(0), (2, 2, 16, 16, 3), minval=-1)
    parameters = random_parameters(critic, real)
    keys = jax.random.split(jax.random.key(2), 2)

    @jax.jit
    def penalty(parameters):
        return gradient_penalty(lambda x: critic.apply({"params": parameters}, x), real, fake, keys)

    gradient = jax.jit(jax.grad(penalty))(parameters)
    # Along the last weights the critic is linear, so that the penalty is smooth there.
    kernel = parameters["logit"]["kernel"]
    direction = jax.random.normal(jax.random.key(3), kernel.shape)

    def at(step):
        logit = {**parameters["logit"], "kernel": kernel + step * direction}
        return penalty({**parameters, "logit": logit})

    slope = (at(0.01) - at(-0.01)) / 0.02
    np.testing.assert_allclose(
        (gradient["logit"]["kernel"] * direction).sum(), slope, rtol=1e-2, atol=1e-4
    )
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="none, layer"):
        WganGpCritic(norm="batch")
    with pytest.raises(ValueError, match="16 or more"):
        WganGpCritic(image_size=8)
    with pytest.raises(ValueError, match="power of two"):
        WganGpGenerator(image_size=48)
