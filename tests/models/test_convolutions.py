"""Each fast convolution and its gradients are those of the plain one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxstyle.models import convolutions, layers

pytestmark = pytest.mark.slow

NHWC = ("NHWC", "HWIO", "NHWC")


def random_images(*shape):
    return jax.random.normal(jax.random.key(0), shape)


def assert_same_gradients(ours, plain, *arguments, atol):
    result, pullback = jax.vjp(ours, *arguments)
    expected, expected_pullback = jax.vjp(plain, *arguments)
    np.testing.assert_allclose(result, expected, atol=atol)
    cotangent = jax.random.normal(jax.random.key(2), result.shape)
    for a, b in zip(pullback(cotangent), expected_pullback(cotangent), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def test_depthwise_conv_is_a_grouped_convolution():
    x = random_images(2, 9, 8, 5)
    module = layers.DepthwiseConv3x3()
    variables = module.init(jax.random.key(1), x)
    variables["params"]["bias"] = jnp.arange(5.0)
    expected = lax.conv_general_dilated(
        x,
        variables["params"]["kernel"],
        (1, 1),
        "VALID",
        dimension_numbers=NHWC,
        feature_group_count=5,
    )
    expected += jnp.arange(5.0)[None, None, None]
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)


def strided_conv(x, kernel):
    return lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=NHWC)


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
@pytest.mark.parametrize("height", [16, 17])
def test_down_conv_and_its_gradients_are_those_of_a_strided_convolution(kernel_size, height):
    x = random_images(2, height, height + 3, 5)
    module = layers.DownConv(6, kernel_size, use_bias=False)
    kernel = module.init(jax.random.key(1), x)["params"]["kernel"]

    def fast(x, kernel):
        return module.apply({"params": {"kernel": kernel}}, x)

    assert_same_gradients(fast, strided_conv, x, kernel, atol=1e-4)


def test_down_conv_of_each_image_by_a_kernel_of_its_own_has_its_gradients():
    x = random_images(3, 1, 9, 10, 4)
    kernels = jax.random.normal(jax.random.key(1), (3, 3, 3, 4, 2))
    ours, plain = jax.vmap(convolutions.down_conv), jax.vmap(strided_conv)
    assert_same_gradients(jax.jit(ours), plain, x, kernels, atol=1e-4)


def squared_gradient(conv):
    """As in a gradient penalty: |d sum(tanh(conv(x)))/dx|^2 of x and of the kernel."""

    def penalty(x, kernel):
        return jnp.square(jax.grad(lambda x: jnp.tanh(conv(x, kernel)).sum())(x)).sum()

    return jax.jit(jax.grad(penalty, (0, 1)))


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_down_conv_can_be_differentiated_twice(kernel_size):
    x = random_images(2, 9, 10, 3)
    kernel = 0.2 * jax.random.normal(jax.random.key(1), (kernel_size, kernel_size, 3, 4))
    found = squared_gradient(convolutions.down_conv)(x, kernel)
    expected = squared_gradient(strided_conv)(x, kernel)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, ((0, 2), (1, 0))])
def test_conv_padded_first_is_the_layers_own_convolution(padding):
    x = random_images(2, 7, 8, 3)
    plain, ours = (
        nn.Conv(4, (3, 3), padding=padding, **options)
        for options in ({}, {"conv_general_dilated": convolutions.conv_padded_first})
    )
    variables = plain.init(jax.random.key(1), x)
    kernel = variables["params"]["kernel"]

    def of(module):
        bias = variables["params"]["bias"]
        return lambda x, kernel: module.apply({"params": {"kernel": kernel, "bias": bias}}, x)

    assert_same_gradients(jax.jit(of(ours)), of(plain), x, kernel, atol=1e-5)
    found, expected = (squared_gradient(of(module))(x, kernel) for module in (ours, plain))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
