import cv2
import jax
import jax.numpy as jnp
import numpy as np

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


def test_total_variation_is_that_of_a_step_whether_it_is_crisp_or_a_ramp():
    ramp = jnp.broadcast_to(0.1 * jnp.arange(8.0)[None, :, None, None], (2, 8, 6, 3))
    step = jnp.where(jnp.arange(8)[None, :, None, None] < 4, 0.0, 0.7)
    step = jnp.broadcast_to(step, (2, 8, 6, 3))
    for edge in (ramp, step, ramp.swapaxes(1, 2)):
        np.testing.assert_allclose(color.total_variation(edge), 0.1, rtol=1e-4)
    noisy = ramp + 0.2 * jax.random.normal(jax.random.key(0), ramp.shape)
    assert color.total_variation(noisy) > 0.2
