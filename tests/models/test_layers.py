"""Each fast form gives what the plain operation gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxstyle.models import layers

NHWC = ("NHWC", "HWIO", "NHWC")


def random_images(*shape):
    return jax.random.normal(jax.random.key(0), shape)


def test_pixel_unshuffle_puts_a_tile_into_the_channels_of_its_place():
    x = random_images(2, 8, 12, 3)
    y = layers.pixel_unshuffle(x, 4)
    assert y.shape == (2, 2, 3, 48)
    np.testing.assert_array_equal(y[1, 1, 2].reshape(4, 4, 3), x[1, 4:8, 8:12])
    np.testing.assert_array_equal(layers.pixel_shuffle(y, 4), x)


def test_upsample_bilinear_is_a_bilinear_resize():
    x = random_images(2, 5, 7, 3)
    np.testing.assert_allclose(
        layers.upsample_bilinear(x), jax.image.resize(x, (2, 10, 14, 3), "bilinear"), atol=1e-6
    )


def test_norms_centre_and_scale_over_their_axes():
    x = 3 + 2 * random_images(2, 8, 8, 4) * jnp.arange(1.0, 5.0)[None, None, None]
    frame_norm = layers.FrameNorm()
    whole = frame_norm.apply(frame_norm.init(jax.random.key(0), x), x)
    np.testing.assert_allclose(whole.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(whole.std(axis=(1, 2, 3)), 1, atol=1e-4)
    per_channel = layers.InstanceNorm().apply({}, x)
    np.testing.assert_allclose(per_channel.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(per_channel.std(axis=(1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize("gathered", [False, True])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 1, 0, 1), (3, 0, 2, 4), (9, 9, 9, 9)])
def test_reflect_pad_and_its_gradient_are_those_of_numpys_padding(pads, gathered):
    x = random_images(2, 6, 7, 3)
    top, bottom, left, right = pads

    def ours(x):
        return layers.reflect_pad(x, *pads, gathered=gathered)

    def numpys(x):
        return jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode="reflect")

    np.testing.assert_array_equal(ours(x), numpys(x))
    weights = random_images(*numpys(x).shape)
    gradients = [jax.grad(lambda x, f=f: (f(x) ** 2 * weights).sum())(x) for f in (ours, numpys)]
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("inputs", "features", "k"), [(3, 4, 9), (5, 2, 7), (2, 3, 3)])
def test_tiled_conv_is_the_convolution_and_so_is_its_gradient(inputs, features, k):
    x = jax.random.normal(jax.random.key(0), (2, 14, 12, inputs))
    kernel = jax.random.normal(jax.random.key(1), (k, k, inputs, features))

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=NHWC)

    def squares(f):
        return jax.jit(jax.value_and_grad(lambda x, kernel: jnp.sin(f(x, kernel)).sum(), (0, 1)))

    np.testing.assert_allclose(layers.tiled_conv(x, kernel), plain(x, kernel), rtol=1e-4, atol=1e-4)
    got, expected = squares(layers.tiled_conv)(x, kernel), squares(plain)(x, kernel)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_tiled_conv_has_the_bias_of_its_channel_on_every_pixel():
    x = random_images(2, 8, 10, 3)
    module = layers.TiledConv(4, 3)
    variables = module.init(jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"kernel": (3, 3, 3, 4), "bias": (4,)}
    without = module.apply(variables, x)
    variables["params"]["bias"] = jnp.arange(4.0)
    difference = module.apply(variables, x) - without
    np.testing.assert_allclose(difference, np.tile(np.arange(4.0), (2, 6, 8, 1)), atol=1e-5)


def test_upsampling_with_aligned_corners_interpolates_between_them():
    x = np.asarray(random_images(2, 5, 7, 3))
    expected = x
    for axis in (1, 2):
        size = x.shape[axis]
        places = np.linspace(0, size - 1, 2 * size)
        expected = np.apply_along_axis(
            lambda line, size=size, places=places: np.interp(places, np.arange(size), line),
            axis,
            expected,
        )
    np.testing.assert_allclose(layers.upsample_bilinear_aligned(x), expected, atol=1e-6)
