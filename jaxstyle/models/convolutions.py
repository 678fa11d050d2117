"""Convolutions in forms that XLA computes faster than the plain ones, above all on CPU.

Each gives what `lax.conv_general_dilated` gives for the same kernel, and so do its gradients. NHWC
arrays, kernels HWIO. As in `jaxstyle.models.layers` most are jitted under their own name, by which
`jaxstyle.export` knows them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_conv = functools.partial(lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"))


@jax.jit
def depthwise_conv_3x3(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """A 3x3 depthwise convolution without padding: [N, H, W, C] -> [N, H-2, W-2, C].

    kernel: [3, 3, 1, C]. bias: [C]. Written as nine shifted multiply-adds, which XLA fuses into
    one loop; a grouped convolution of as many groups as channels takes some twenty times longer
    on CPU.
    """
    n, h, w, c = x.shape
    y = jnp.broadcast_to(bias.reshape(1, 1, 1, c), (n, h - 2, w - 2, c))
    for i in range(3):
        for j in range(3):
            y = y + x[:, i : i + h - 2, j : j + w - 2, :] * kernel[i, j].reshape(1, 1, 1, c)
    return y


@jax.jit
def down_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of stride 2 without padding or bias, its kernel [k, k, C, features], k > 1.

    [N, H, W, C] -> [N, (H-k)//2+1, (W-k)//2+1, features], in the dtype of both. On CPU the gradient
    to x is `_down_conv_transpose`.
    """
    conv = _down_conv if jax.default_backend() == "cpu" else _strided_conv
    return conv(x, kernel)


def _strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _conv(x, kernel, (2, 2), "VALID")


def _down_conv_transpose(gradient: jax.Array, kernel: jax.Array, h: int, w: int) -> jax.Array:
    """The transposed `down_conv`: [N, h', w', features] -> [N, h, w, C], in the dtype of both.

    As derived it would convolve a dilated gradient, which XLA's CPU backend handles by a naive loop
    (jax#23783). Each pixel is reached by every second row and column of the kernel alone. So even
    and odd rows are a convolution of stride 1 each, and even and odd columns the channels of both.
    """
    k, _, c, features = kernel.shape
    taps = (k + 1) // 2
    columns = jnp.pad(kernel, ((0, 0), (0, k % 2), (0, 0), (0, 0)))
    columns = columns.reshape(k, taps, 2, c, features).transpose(0, 1, 4, 2, 3)
    columns = columns.reshape(k, taps, features, 2 * c)[:, ::-1]
    half = (h + 1) // 2, (w + 1) // 2

    def rows_from(first: int) -> jax.Array:
        rows = columns[first::2][::-1]
        padding = (
            (len(rows) - 1, half[0] - gradient.shape[1]),
            (taps - 1, half[1] - gradient.shape[2]),
        )
        return _conv(gradient, rows, (1, 1), padding)

    x = jnp.stack([rows_from(0), rows_from(1)], axis=2)
    return x.reshape(-1, 2 * half[0], 2 * half[1], c)[:, :h, :w]


def _down_conv_backward(
    arguments: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = arguments
    (to_kernel,) = jax.linear_transpose(functools.partial(_strided_conv, x), kernel)(gradient)
    return _down_conv_transpose(gradient, kernel, *x.shape[1:3]), to_kernel


_down_conv = jax.custom_vjp(_strided_conv)
_down_conv.defvjp(lambda x, kernel: (_strided_conv(x, kernel), (x, kernel)), _down_conv_backward)


def _with_gradient_to_kernel(
    conv: Callable[[jax.Array, jax.Array], jax.Array],
    to_kernel: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`conv`, of x and a kernel, with `to_kernel` (x, kernel, gradient) as a gradient, on CPU."""

    def backward(
        arguments: tuple[jax.Array, jax.Array], gradient: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        x, kernel = arguments
        (to_x,) = jax.linear_transpose(lambda x: conv(x, kernel), x)(gradient)
        return to_x, to_kernel(x, kernel, gradient)

    if jax.default_backend() != "cpu":
        return conv
    differentiable = jax.custom_vjp(conv)
    differentiable.defvjp(lambda x, kernel: (conv(x, kernel), (x, kernel)), backward)
    return differentiable


def conv_padded_first(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """`lax.conv_general_dilated` as `nn.Conv` calls it; to compute its gradient x is padded first.

    A convolution that pads as it goes is as fast forward; but where there are few channels that to
    its kernel, one with windows as large as the image, takes up to 1.7 times as long on CPU. The
    layer's padding must be given in pixels, not by name.
    """

    def conv(
        x: jax.Array, kernel: jax.Array, padding: str | Sequence[tuple[int, int]]
    ) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)

    def to_kernel(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
        # Without the barrier XLA would move the padding into the convolution again.
        padded = lax.optimization_barrier(jnp.pad(x, ((0, 0), *padding, (0, 0))))
        transpose = jax.linear_transpose(lambda k: conv(padded, k, padding="VALID"), kernel)
        return transpose(gradient)[0]

    plain = functools.partial(conv, padding=padding)
    return _with_gradient_to_kernel(plain, to_kernel)(x, kernel)


# Positions of an image, or of several, whose gradient to a kernel is computed at once.
_POSITIONS_AT_ONCE = 8192


def conv_few_images_back(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """`lax.conv_general_dilated` as `nn.Conv` calls it; its gradient to the kernel is a sum.

    That gradient is a convolution with windows as large as the image and as many channels as there
    are images. On CPU it takes up to seven times as long as the convolution itself where both are
    many, and not twice as long where it is computed for few images at a time.
    """

    def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)

    def to_kernel(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
        n, h, w, _ = gradient.shape
        count = max(1, _POSITIONS_AT_ONCE // (h * w))
        total = jnp.zeros_like(kernel)
        for i in range(0, n, count):
            some = functools.partial(conv, x[i : i + count])
            total += jax.linear_transpose(some, kernel)(gradient[i : i + count])[0]
        return total

    return _with_gradient_to_kernel(conv, to_kernel)(x, kernel)
