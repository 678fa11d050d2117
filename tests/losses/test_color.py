import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import color


def test_yuv_agrees_with_opencv():
    rgb = np.random.default_rng(0).uniform(size=(5, 7, 3)).astype(np.float32)
    # OpenCV adds 0.5 to U and V, and rounds the coefficients to three digits.
    expected = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV) - np.float32([0, 0.5, 0.5])
    np.testing.assert_allclose(color.rgb_to_yuv(jnp.asarray(rgb)), expected, atol=2e-3)


def test_grey_has_no_chroma():
    grey = jnp.full((4, 3), 0.7)
    np.testing.assert_allclose(color.rgb_to_yuv(grey)[:, 0], 0.7, atol=1e-6)
    np.testing.assert_allclose(color.rgb_to_yuv(grey)[:, 1:], 0, atol=1e-6)


def test_color_loss_is_l1_of_luma_and_half_the_square_of_chroma():
    a, b = jax.random.uniform(jax.random.key(0), (2, 2, 4, 4, 3), minval=-1, maxval=1)
    difference = np.asarray(color.rgb_to_yuv((a + 1) / 2) - color.rgb_to_yuv((b + 1) / 2))
    expected = (
        np.abs(difference[..., 0]).mean()
        + (difference[..., 1] ** 2 / 2).mean()
        + (difference[..., 2] ** 2 / 2).mean()
    )
    np.testing.assert_allclose(color.yuv_color_loss(a, b), expected, rtol=1e-5)
    assert color.yuv_color_loss(a, a) == 0


@pytest.mark.slow
def test_total_variation_is_that_of_a_step_whether_it_is_crisp_or_a_ramp():
    ramp = jnp.broadcast_to(0.1 * jnp.arange(8.0)[None, :, None, None], (2, 8, 6, 3))
    step = jnp.where(jnp.arange(8)[None, :, None, None] < 4, 0.0, 0.7)
    step = jnp.broadcast_to(step, (2, 8, 6, 3))
    for edge in (ramp, step, ramp.swapaxes(1, 2)):
        np.testing.assert_allclose(color.total_variation(edge), 0.1, rtol=1e-4)
    noisy = ramp + 0.2 * jax.random.normal(jax.random.key(0), ramp.shape)
    assert color.total_variation(noisy) > 0.2


def test_squared_total_variation_is_the_mean_of_squares_and_prefers_a_ramp():
    x = np.asarray(jax.random.normal(jax.random.key(0), (2, 5, 6, 3)))
    expected = (np.diff(x, axis=1) ** 2).mean() + (np.diff(x, axis=2) ** 2).mean()
    np.testing.assert_allclose(
        color.total_variation(jnp.asarray(x), squared=True), expected, rtol=1e-5
    )
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, 9)[None, :, None, None], (1, 9, 4, 3))
    step = jnp.round(ramp)
    assert color.total_variation(ramp, squared=True) < color.total_variation(step, squared=True)


def test_grey_is_the_luma_of_opencv_in_equal_channels():
    rgb = np.random.default_rng(0).uniform(size=(5, 7, 3)).astype(np.float32)
    expected = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey = color.rgb_to_grey(jnp.asarray(rgb)[None])
    assert grey.shape == (1, 5, 7, 1)
    np.testing.assert_allclose(grey[0, ..., 0], expected, atol=1e-5)
    thrice = color.rgb_to_grey(jnp.asarray(rgb)[None], channels=3)
    np.testing.assert_array_equal(thrice, jnp.broadcast_to(grey, (1, 5, 7, 3)))
    # The range [-1, 1] of images on the device is as good: a grey image stays as it is.
    dark = jnp.full((1, 2, 2, 3), -0.8)
    np.testing.assert_allclose(color.rgb_to_grey(dark, channels=3), dark, atol=1e-6)


def reference_lab(rgb):
    """IEC 61966-2-1 and CIE 15 by hand, one colour at a time."""

    def linear(v):
        return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4

    def f(t):
        return t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29

    r, g, b = map(linear, rgb)
    x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047)
    y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b)
    z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.slow
def test_lab_agrees_with_the_formula_and_with_opencv():
    rgb = np.random.default_rng(0).uniform(size=(10, 12, 3)).astype(np.float32)
    # The straight parts of both curves are near black.
    rgb[:5] *= 0.05
    lab = np.asarray(color.rgb_to_lab(jnp.asarray(rgb)))
    expected = [reference_lab(c) for c in rgb.reshape(-1, 3).astype(float)]
    np.testing.assert_allclose(lab.reshape(-1, 3), expected, atol=0.01)
    # OpenCV looks the curves up in tables.
    np.testing.assert_allclose(lab, cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), atol=0.5)

    levels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    rounded = cv2.cvtColor(levels, cv2.COLOR_RGB2LAB).astype(np.float32)
    rounded = rounded * np.float32([100 / 255, 1, 1]) - np.float32([0, 128, 128])
    lab = color.rgb_to_lab(jnp.asarray(levels, jnp.float32) / 255)
    np.testing.assert_allclose(lab, rounded, atol=1.5)


def test_lab_of_known_colors():
    red, white, black = color.rgb_to_lab(jnp.asarray([[1.0, 0, 0], [1, 1, 1], [0, 0, 0]]))
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(white, [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(black, [0, 0, 0], atol=1e-4)


@pytest.mark.slow
def test_lab_has_a_finite_gradient_everywhere_and_the_right_one():
    colors = jnp.asarray([[0.0, 0, 0], [1, 1, 1], [-0.2, 0.5, 1.3], [0.03, 0.04045, 0.0]])
    jacobian = jax.vmap(jax.jacobian(color.rgb_to_lab))(colors)
    assert jnp.isfinite(jacobian).all()
    at = jnp.asarray([0.3, 0.02, 0.8])
    step = 1e-2
    numeric = [
        (color.rgb_to_lab(at + step * e) - color.rgb_to_lab(at - step * e)) / (2 * step)
        for e in jnp.eye(3)
    ]
    np.testing.assert_allclose(
        jax.jacobian(color.rgb_to_lab)(at), np.stack(numeric, axis=1), rtol=0.02, atol=0.5
    )


@pytest.mark.slow
def test_lab_color_loss_counts_lightness_twice():
    a, b = jax.random.uniform(jax.random.key(0), (2, 2, 4, 4, 3), minval=-1, maxval=1)
    labs = [cv2.cvtColor((np.asarray(x[0]) + 1) / 2, cv2.COLOR_RGB2LAB) for x in (a, b)]
    means = np.abs(labs[0] - labs[1]).mean((0, 1))
    expected = 2 * means[0] / 100 + means[1] / 255 + means[2] / 255
    np.testing.assert_allclose(color.lab_color_loss(a[:1], b[:1]), expected, rtol=2e-3)
    assert color.lab_color_loss(a, a) == 0


def test_out_of_range_is_what_clipping_takes_away():
    x = 2 * np.random.default_rng(0).standard_normal((2, 5, 4, 3)).astype(np.float32)
    expected = np.abs(x - np.clip(x, -1, 1)).mean()
    np.testing.assert_allclose(color.out_of_range(x), expected, rtol=1e-5)
    assert color.out_of_range(jnp.asarray([-1.0, 0.5, 1.0])) == 0


def test_random_grey_weighs_colours_about_as_luma_does():
    """The colours red, green and blue become their own weights."""
    count = 400
    primaries = np.broadcast_to(np.eye(3, dtype=np.float32), (count, 1, 3, 3))
    grey = np.asarray(color.random_grey(primaries, jax.random.split(jax.random.key(0), count)))
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    weights = grey[:, 0, :, 0]
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    # Before they are divided by their sum, each is within 0.1 of luma's, uniformly.
    luma = np.array([0.299, 0.587, 0.114])
    for i in range(3):
        low = (luma[i] - 0.1) / (luma[i] - 0.1 + 1 - luma[i] + 0.2)
        high = (luma[i] + 0.1) / (luma[i] + 0.1 + 1 - luma[i] - 0.2)
        assert low <= weights[:, i].min() < luma[i] - 0.06
        assert luma[i] + 0.06 < weights[:, i].max() <= high
    np.testing.assert_allclose(weights.mean(axis=0), luma, atol=0.01)
