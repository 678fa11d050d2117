"""AnimeGANv3 against its published shape: a forward pass in NumPy, written from the layer list."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.models.animegan3 import (
    AnimeGan3,
    AnimeGan3Discriminator,
    AnimeGan3Tail,
    ExternalAttention,
    lade,
)

pytestmark = pytest.mark.slow


def count(parameters):
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def conv(x, kernel, stride=1):
    k = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def reference_lade(x, target):
    normalised = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)
    return normalised * np.sqrt(target.var((0, 1)) + 1e-5) + target.mean((0, 1))


def conv_lade(x, weights, down=False):
    k = weights["conv"]["kernel"].shape[0]
    before, after = (1, 0) if down else (k // 2, k // 2)
    x = np.pad(x, ((before, after), (before, after), (0, 0)), mode="reflect")
    x = conv(x, weights["conv"]["kernel"], 2 if down else 1)
    return leaky(reference_lade(x, x @ weights["lade"]["kernel"][0, 0]))


def reference_attention(x, weights):
    height, width, c = x.shape
    memory = weights["memory"]
    similarity = (x @ weights["query"]["kernel"][0, 0]).reshape(-1, c) @ memory
    share_of_pixel = np.exp(similarity) / np.exp(similarity).sum(axis=0)
    share_of_unit = share_of_pixel / share_of_pixel.sum(axis=1, keepdims=True)
    y = (share_of_unit @ memory.T).reshape(height, width, c) @ weights["project"]["kernel"][0, 0]
    y = (y - y.mean((0, 1))) / np.sqrt(y.var((0, 1)) + 1e-3)
    return leaky(x + y * weights["scale"] + weights["bias"])


def upsample(x):
    """Bilinear, by evaluating the tent at each output pixel centre."""
    for axis in (0, 1):
        size = x.shape[axis]
        at = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        fraction = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        high = np.take(x, np.minimum(low + 1, size - 1), axis)
        x = np.take(x, low, axis) * (1 - fraction) + high * fraction
    return x


def reference_generator(x, weights):
    x0 = conv_lade(x, weights["x0"])
    x1 = conv_lade(conv_lade(x0, weights["x1_down"], down=True), weights["x1"])
    x2 = conv_lade(conv_lade(x1, weights["x2_down"], down=True), weights["x2"])
    x3 = conv_lade(conv_lade(x2, weights["x3_down"], down=True), weights["x3"])
    tail = weights["main"]
    y = reference_attention(x3, tail["attention"])
    y = conv_lade(conv_lade(upsample(y), tail["up2"]) + x2, tail["merge2"])
    y = conv_lade(conv_lade(upsample(y), tail["up1"]) + x1, tail["merge1"])
    y = conv_lade(conv_lade(upsample(y), tail["up0"]) + x0, tail["merge0"])
    y = np.pad(y, ((3, 3), (3, 3), (0, 0)), mode="reflect")
    return np.tanh(conv(y, tail["out"]["kernel"]))


def as_float64(parameters):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), parameters)


def random_parameters(module, *inputs):
    """Weights of the module's shapes that keep the scale of the signal; init takes seconds."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    return jax.tree.map(
        lambda a: random.normal(0, np.prod(a.shape[:-1]) ** -0.5, a.shape).astype(np.float32),
        shapes,
    )


@pytest.fixture(scope="module")
def generator():
    x = jax.random.uniform(jax.random.key(0), (2, 24, 32, 3), minval=-1, maxval=1)
    return random_parameters(AnimeGan3(), x), x


def test_lade_restores_statistics_of_the_target():
    x, target = jax.random.normal(jax.random.key(0), (2, 2, 6, 5, 4))
    target = 3 * target + jnp.arange(4.0)[None, None, None]
    result = lade(x, target)
    for image, wanted, output in zip(*np.asarray([x, target, result], np.float64), strict=True):
        np.testing.assert_allclose(output, reference_lade(image, wanted), atol=1e-5)
        np.testing.assert_allclose(output.mean((0, 1)), wanted.mean((0, 1)), atol=1e-5)


def test_external_attention_normalises_over_pixels_then_over_units():
    attention = ExternalAttention(units=7)
    x = jax.random.normal(jax.random.key(0), (2, 4, 5, 6))
    parameters = random_parameters(attention, x)
    result = jax.jit(attention.apply)({"params": parameters}, x)
    for image, output in zip(np.asarray(x, np.float64), result, strict=True):
        expected = reference_attention(image, as_float64(parameters))
        np.testing.assert_allclose(output, expected, atol=1e-4)


def test_generator_equals_the_reference_and_has_the_published_size(generator):
    parameters, x = generator
    assert count(parameters) == 1_027_520
    result = jax.jit(AnimeGan3().apply)({"params": parameters}, x)
    assert result.dtype == jnp.float32
    for image, output in zip(np.asarray(x, np.float64), result, strict=True):
        expected = reference_generator(image, as_float64(parameters))
        np.testing.assert_allclose(output, expected, atol=1e-3)


def test_features_are_what_a_second_tail_paints_from(generator):
    parameters, x = generator
    output, features = jax.jit(lambda p: AnimeGan3().apply({"params": p}, x, return_features=True))(
        parameters
    )
    assert [f.shape[1:] for f in features] == [
        (24, 32, 32),
        (12, 16, 64),
        (6, 8, 128),
        (3, 4, 128),
    ]
    tail = AnimeGan3Tail()
    shapes = jax.eval_shape(tail.init, jax.random.key(3), features)["params"]
    assert jax.tree.structure(shapes) == jax.tree.structure(parameters["main"])
    apply = jax.jit(tail.apply)
    np.testing.assert_allclose(apply({"params": parameters["main"]}, features), output, atol=1e-5)
    support = jax.tree.map(lambda a: -a, parameters["main"])
    assert jnp.abs(apply({"params": support}, features) - output).mean() > 0.1


def test_bfloat16_computes_nearly_the_same(generator):
    parameters, x = generator
    full = jax.jit(AnimeGan3().apply)({"params": parameters}, x)
    half = jax.jit(AnimeGan3(dtype=jnp.bfloat16).apply)({"params": parameters}, x)
    assert half.dtype == jnp.float32
    assert jnp.abs(full - half).mean() < 0.05


@pytest.mark.parametrize(("channels", "parameters"), [(1, 689_952), (3, 693_088)])
def test_discriminator_has_the_published_layers(channels, parameters):
    x = jnp.zeros((2, 32, 64, channels))
    variables = jax.eval_shape(AnimeGan3Discriminator().init, jax.random.key(1), x)
    assert count(variables["params"]) == parameters
    assert jax.eval_shape(AnimeGan3Discriminator().apply, variables, x).shape == (2, 4, 8, 1)


def test_discriminator_divides_every_kernel_by_its_spectral_norm():
    discriminator = AnimeGan3Discriminator()
    x = jax.random.normal(jax.random.key(0), (1, 16, 16, 1))
    parameters = random_parameters(discriminator, x)
    shapes = jax.eval_shape(discriminator.init, jax.random.key(0), x)["batch_stats"]
    random = np.random.default_rng(1)
    estimates = jax.tree.map(lambda a: random.normal(size=a.shape).astype(np.float32), shapes)

    @jax.jit
    def step(parameters, estimates):
        variables = {"params": parameters, "batch_stats": estimates}
        return discriminator.apply(variables, x, update_stats=True, mutable=["batch_stats"])

    def settled(parameters):
        update = {"batch_stats": estimates}
        for _ in range(30):
            logits, update = step(parameters, update["batch_stats"])
        return logits

    def divided(kernel):
        return kernel / np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), ord=2)

    # Kernels divided beforehand are those the discriminator convolves with.
    np.testing.assert_allclose(
        settled(jax.tree.map(divided, parameters)), settled(parameters), rtol=0.05, atol=2e-3
    )
