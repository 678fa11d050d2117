"""Colour and smoothness of the output, against the input or by itself."""

import jax
import jax.numpy as jnp
import numpy as np

# BT.601: Y from RGB, then the scaled differences B - Y and R - Y.
_RGB_TO_YUV = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.14714119, -0.28886916, 0.43601035],
        [0.61497538, -0.51496512, -0.10001026],
    ],
    np.float32,
)


def rgb_to_yuv(rgb: jax.Array) -> jax.Array:
    """RGB in [0, 1], float32 [..., 3] -> YUV of BT.601: Y in [0, 1], |U| <= .436, |V| <= .615."""
    return jnp.einsum("...c,dc->...d", rgb, _RGB_TO_YUV)


def yuv_color_loss(output: jax.Array, reference: jax.Array) -> jax.Array:
    """AnimeGAN's colour reconstruction: L1 of Y plus Huber of U and of V (Chen et al. 2020).

    Both float32 [N, H, W, 3] in [-1, 1]; Huber's threshold is 1 and beyond the range of U and V,
    so there it is half the squared difference. Returns a scalar, the sum of the three means.
    """
    difference = rgb_to_yuv((output + 1) / 2) - rgb_to_yuv((reference + 1) / 2)
    magnitude = jnp.abs(difference)
    huber = jnp.where(magnitude < 1, jnp.square(difference) / 2, magnitude - 0.5)
    return magnitude[..., 0].mean() + huber[..., 1].mean() + huber[..., 2].mean()


def total_variation(x: jax.Array) -> jax.Array:
    """Mean absolute difference of vertical neighbours plus that of horizontal ones.

    The anisotropic total variation of Rudin, Osher & Fatemi (1992): a ramp costs as much as a step
    of its height, so what it favours is flat tones with crisp edges. (AnimeGAN squares the
    differences, which favours blur.) x: float32 [N, H, W, 3]. Returns a scalar.
    """
    vertical = jnp.abs(x[:, 1:] - x[:, :-1]).mean()
    horizontal = jnp.abs(x[:, :, 1:] - x[:, :, :-1]).mean()
    return vertical + horizontal
