"""DCGAN against its definition: a loop in NumPy, and the library's own transposed convolution."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxstyle.models.dcgan import (
    DcganDiscriminator,
    DcganGenerator,
    doublings,
    transposed_conv_4x4,
)
from jaxstyle.models.layers import BatchNorm

pytestmark = pytest.mark.slow


def shapes(parameters):
    return {k: v.shape for k, v in flax.traverse_util.flatten_dict(parameters, sep="/").items()}


def random_parameters(module, example):
    drawn = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.float32(rng.normal(scale=0.1, size=leaf.shape)), drawn)


def scattered(x, kernel):
    """A transposed convolution of stride 2 by its definition: every input adds a 4x4 patch."""
    n, h, w, _ = x.shape
    y = np.zeros((n, 2 * h + 2, 2 * w + 2, kernel.shape[3]))
    for i in range(h):
        for j in range(w):
            patch = np.einsum("nc,abcf->nabf", x[:, i, j], kernel)
            y[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
    return y[:, 1:-1, 1:-1]


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 5)])
def test_transposed_conv_is_the_scatter_of_its_definition(size):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 5)), rng.normal(size=(4, 4, 5, 3))
    result = transposed_conv_4x4(jnp.float32(x), jnp.float32(kernel))
    np.testing.assert_allclose(result, scattered(x, kernel), atol=1e-4)


def test_transposed_conv_and_its_gradients_are_those_of_the_dilated_convolution():
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 5))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 5, 3))

    def plain(x, kernel):
        # JAX's own correlates with the kernel, so it takes the mirrored one.
        return lax.conv_transpose(x, kernel[::-1, ::-1], (2, 2), "SAME")

    result, pullback = jax.vjp(transposed_conv_4x4, x, kernel)
    expected, expected_pullback = jax.vjp(plain, x, kernel)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    cotangent = jax.random.normal(jax.random.key(2), result.shape)
    for ours, theirs in zip(pullback(cotangent), expected_pullback(cotangent), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_batch_norm_normalises_stores_and_uses_what_it_stored():
    norm = BatchNorm()
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (8, 4, 4, 5))
    fresh = norm.init(jax.random.key(1), x)
    np.testing.assert_array_equal(fresh["batch_stats"]["mean"], np.zeros(5))
    np.testing.assert_array_equal(fresh["batch_stats"]["variance"], np.ones(5))
    variables = {"params": {"scale": jnp.arange(1.0, 6.0), "bias": jnp.arange(5.0)}}
    values = np.asarray(x, np.float64)
    mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))

    def expected(values):
        return (values - mean) / np.sqrt(variance + 1e-5) * np.arange(1, 6) + np.arange(5)

    np.testing.assert_allclose(norm.apply(variables, x), expected(values), atol=1e-4)
    result, stored = norm.apply(variables, x, mutable=["batch_stats"])
    np.testing.assert_allclose(result, expected(values), atol=1e-4)
    np.testing.assert_allclose(stored["batch_stats"]["mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(stored["batch_stats"]["variance"], variance, rtol=1e-4)
    # With these, one image alone becomes what it was among the others.
    alone = norm.apply({**variables, **stored}, x[:1])
    np.testing.assert_allclose(alone, expected(values[:1]), atol=1e-4)


def test_batch_norm_without_standing_statistics_knows_its_batch_alone():
    norm = BatchNorm(standing=False)
    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 3))
    variables = norm.init(jax.random.key(1), x)
    assert set(variables) == {"params"}
    result, stored = norm.apply(variables, x, mutable=["batch_stats"])
    assert not stored
    np.testing.assert_allclose(result.mean(axis=(0, 1, 2)), 0, atol=1e-5)


def test_networks_have_the_layers_of_the_cifar_form():
    generator = DcganGenerator()
    parameters = jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((2, 100)))["params"]
    kernels = {k: v for k, v in shapes(parameters).items() if k.endswith("kernel")}
    assert kernels == {
        "project/kernel": (100, 4 * 4 * 256),
        "up1/kernel": (4, 4, 256, 128),
        "up2/kernel": (4, 4, 128, 64),
        "out/kernel": (4, 4, 64, 3),
    }
    discriminator = DcganDiscriminator()
    variables = jax.eval_shape(discriminator.init, jax.random.key(0), jnp.zeros((2, 32, 32, 3)))
    kernels = {k: v for k, v in shapes(variables["params"]).items() if k.endswith("kernel")}
    assert kernels == {
        "down0/kernel": (4, 4, 3, 64),
        "down1/kernel": (4, 4, 64, 128),
        "down2/kernel": (4, 4, 128, 256),
        "logit/kernel": (4, 4, 256, 1),
    }
    assert set(variables) == {"params"}


def test_initial_weights_have_the_published_spread():
    generator = DcganGenerator(width=32, image_size=16)
    parameters = generator.init(jax.random.key(0), jnp.zeros((2, 100)))["params"]
    np.testing.assert_allclose(parameters["up1"]["kernel"].std(), 0.02, rtol=0.05)
    gain = parameters["project_norm"]["scale"]
    assert 0.01 < gain.std() < 0.03
    np.testing.assert_allclose(gain.mean(), 1, atol=0.02)


@pytest.mark.parametrize("image_size", [8, 64])
def test_every_size_comes_out_and_goes_in(image_size):
    generator = DcganGenerator(latent=6, width=2, image_size=image_size)
    z = jax.random.normal(jax.random.key(0), (3, 6))
    images = generator.apply({"params": random_parameters(generator, z)}, z)
    assert images.shape == (3, image_size, image_size, 3)
    assert images.dtype == jnp.float32
    assert jnp.abs(images).max() <= 1
    discriminator = DcganDiscriminator(width=2, image_size=image_size)
    parameters = random_parameters(discriminator, images)
    logits = discriminator.apply({"params": parameters}, images)
    assert logits.shape == (3, 1, 1, 1)
    assert jnp.isfinite(logits).all()


def test_standing_statistics_make_the_image_of_a_latent_independent_of_its_batch():
    generator = DcganGenerator(latent=6, width=4, image_size=16)
    z = jax.random.normal(jax.random.key(0), (16, 6))
    variables = {"params": random_parameters(generator, z)}
    images, stored = generator.apply(variables, z, mutable=["batch_stats"])
    variables = {**variables, **stored}
    alone = generator.apply(variables, z[3:4])
    np.testing.assert_allclose(alone, images[3:4], atol=1e-4)
    fresh = jax.eval_shape(generator.init, jax.random.key(1), z)["batch_stats"]
    assert shapes(fresh) == shapes(stored["batch_stats"])


def test_bfloat16_computes_nearly_the_same_with_float32_parameters():
    full = DcganGenerator(latent=6, width=4, image_size=16)
    half = full.clone(dtype=jnp.bfloat16)
    z = jax.random.normal(jax.random.key(0), (16, 6))
    variables = {"params": random_parameters(half, z)}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    result = half.apply(variables, z)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, full.apply(variables, z), atol=0.05)


@pytest.mark.parametrize("image_size", [0, 4, 24, 33])
def test_sizes_that_no_doubling_reaches_are_refused(image_size):
    with pytest.raises(ValueError, match="power of two"):
        DcganGenerator(image_size=image_size)


def test_doublings_lead_from_4_pixels():
    assert [doublings(size, smallest=4) for size in (4, 8, 16, 32, 1024)] == [0, 1, 2, 3, 8]


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match="got images of shape"):
        DcganDiscriminator().init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
