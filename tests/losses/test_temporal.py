import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import temporal


def test_crop_is_the_window_at_the_offset():
    x = jnp.arange(2 * 9 * 8 * 1.0).reshape(2, 9, 8, 1)
    np.testing.assert_array_equal(temporal.crop(x, jnp.array([3, 1]), 4), x[:, 3:7, 1:5])


def test_warp_by_whole_pixels_is_a_shift_and_clamps_at_the_border():
    x = jax.random.normal(jax.random.key(0), (1, 6, 8, 3))
    flow = jnp.broadcast_to(jnp.array([2.0, -1.0]).reshape(1, 1, 1, 2), (1, 6, 8, 2))
    warped = temporal.warp(x, flow)
    np.testing.assert_allclose(warped[:, 1:, :-2], x[:, :-1, 2:], atol=1e-6)
    np.testing.assert_allclose(warped[:, 0, :-2], x[:, 0, 2:], atol=1e-6)
    np.testing.assert_allclose(warped[:, 1:, -1], x[:, :-1, -1], atol=1e-6)


def test_warp_agrees_with_opencv_remap():
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(24, 31, 3)).astype(np.float32)
    flow = rng.normal(scale=3, size=(24, 31, 2)).astype(np.float32)
    columns, rows = np.meshgrid(np.arange(31, dtype=np.float32), np.arange(24, dtype=np.float32))
    expected = cv2.remap(
        image,
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    warped = temporal.warp(jnp.asarray(image)[None], jnp.asarray(flow)[None])[0]
    # OpenCV rounds the fractions to 1/32.
    np.testing.assert_allclose(warped, expected, atol=0.05)


@pytest.mark.slow
def test_the_gradient_of_warp_is_its_transpose():
    x, y = jax.random.normal(jax.random.key(0), (2, 2, 9, 11, 3))
    flow = 4 * jax.random.normal(jax.random.key(1), (2, 9, 11, 2))

    def warp(x):
        return temporal.warp(x, flow)

    # It is linear in x: <warp(x), y> = <x, warp'(y)>, also where the flow leaves the frame.
    _, transpose = jax.vjp(warp, x)
    np.testing.assert_allclose((warp(x) * y).sum(), (x * transpose(y)[0]).sum(), rtol=1e-4)
    np.testing.assert_allclose(transpose(jnp.ones_like(y))[0].sum(), y.size, rtol=1e-5)


@pytest.mark.slow
def test_smooth_flow_has_its_magnitude_and_changes_slowly():
    keys = jax.random.split(jax.random.key(0), 32)
    flow = jnp.stack([temporal.smooth_flow(key, (64, 48), 4.0) for key in keys])
    assert flow.shape == (32, 64, 48, 2)
    assert 2.0 < float(flow.std()) < 4.5
    steps = jnp.abs(flow[:, 1:] - flow[:, :-1])
    assert float(steps.max()) < 2.0
    assert jnp.abs(flow[0] - flow[1]).max() > 1, "each key moves in a way of its own"
