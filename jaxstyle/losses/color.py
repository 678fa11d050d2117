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

# sRGB's primaries in CIE XYZ, each row divided by that coordinate of the white point D65.
_RGB_TO_XYZ_OVER_WHITE = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.95047], [1.0], [1.08883]])


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


def rgb_to_grey(rgb: jax.Array, channels: int = 1) -> jax.Array:
    """The luma Y of BT.601, float32 [..., 3] -> [..., channels], all channels equal.

    Any range in which 0 is grey or black: the weights of R, G and B sum to 1.
    """
    grey = jnp.einsum("...c,c->...", rgb, _RGB_TO_YUV[0])[..., None]
    return jnp.broadcast_to(grey, (*grey.shape[:-1], channels))


def random_grey(rgb: jax.Array, keys: jax.Array) -> jax.Array:
    """Grey of random colours, three equal channels (White-box Cartoonization, Wang & Yu 2020).

    Luma's weights, to each of which U(-0.1, 0.1) is added, over their sum: who sees it learns
    texture, and can rely neither on colour nor on one way to lose it. rgb: float32 [N, H, W, 3] of
    any range. keys: a PRNG key for each image, [N]. Returns the same shape and range.
    """
    draws = jax.vmap(lambda key: jax.random.uniform(key, (3,), rgb.dtype, -0.1, 0.1))(keys)
    weights = _RGB_TO_YUV[:1] + draws
    weights /= weights.sum(axis=1, keepdims=True)
    grey = jnp.einsum("nhwc,nc->nhw", rgb, weights)[..., None]
    return jnp.broadcast_to(grey, rgb.shape)


def rgb_to_lab(rgb: jax.Array) -> jax.Array:
    """sRGB in [0, 1], float32 [..., 3] -> CIE L*a*b* (1976) under D65, float32 [..., 3].

    L in [0, 100], a in about [-86, 98], b in about [-108, 94]. Values beyond [0, 1], which a
    generator may give, are converted too, and the gradient is finite everywhere.
    """
    # Both curves are straight near zero. What the power would see there is replaced before it is
    # taken: the gradient of a branch not chosen must not be infinite either.
    bright = rgb > 0.04045
    linear = jnp.where(bright, ((jnp.where(bright, rgb, 1.0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = jnp.einsum("...c,dc->...d", linear, np.float32(_RGB_TO_XYZ_OVER_WHITE))
    bright = xyz > (6 / 29) ** 3
    straight = xyz * ((29 / 6) ** 2 / 3) + 4 / 29
    x, y, z = jnp.moveaxis(
        jnp.where(bright, jnp.cbrt(jnp.where(bright, xyz, 1.0)), straight), -1, 0
    )
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_color_loss(output: jax.Array, reference: jax.Array) -> jax.Array:
    """AnimeGANv3's colour loss: L1 in L*a*b*, lightness counted twice (Liu et al. 2024).

    Both float32 [N, H, W, 3] in [-1, 1]. L is divided by 100, a and b by 255. Returns a scalar,
    the sum of the three means.
    """
    difference = jnp.abs(rgb_to_lab((output + 1) / 2) - rgb_to_lab((reference + 1) / 2))
    lightness, a, b = jnp.moveaxis(difference, -1, 0)
    return 2 * lightness.mean() / 100 + a.mean() / 255 + b.mean() / 255


def total_variation(x: jax.Array, squared: bool = False) -> jax.Array:
    """Mean absolute difference of vertical neighbours plus that of horizontal ones.

    The anisotropic total variation of Rudin, Osher & Fatemi (1992): a ramp costs as much as a step
    of its height, so what it favours is flat tones with crisp edges. `squared`: the means of the
    squared differences, which favours blur; AnimeGAN's is half of that. x: float32 [N, H, W, C].
    Returns a scalar.
    """
    penalty = jnp.square if squared else jnp.abs
    vertical = penalty(x[:, 1:] - x[:, :-1]).mean()
    horizontal = penalty(x[:, :, 1:] - x[:, :, :-1]).mean()
    return vertical + horizontal


def out_of_range(x: jax.Array) -> jax.Array:
    """How far the values of x, any shape, lie beyond [-1, 1]: the mean, a scalar.

    Beyond it a picture is clipped, and what a generator hides there is lost without a gradient.
    """
    return jax.nn.relu(jnp.abs(x) - 1).mean()
