import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.training.progressive_growing import Growth

pytestmark = pytest.mark.slow


def pooled(x, factor):
    n, s = x.shape[:2]
    out = np.zeros((n, s // factor, s // factor, 3), np.float32)
    for i in range(s // factor):
        for j in range(s // factor):
            tile = x[:, i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
            out[:, i, j] = tile.mean(axis=(1, 2))
    return out


def test_real_images_are_as_small_as_the_stage_and_as_blurred_as_its_fade():
    """ProGAN shows its critic real images as small and as sharp as fakes are by now."""
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(Growth(0, jnp.ones(()))(x), pooled(x, 4), atol=1e-6)
    sharp = pooled(x, 2)
    np.testing.assert_allclose(Growth(1, jnp.ones(()))(x), sharp, atol=1e-6)
    blurred = pooled(sharp, 2).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(Growth(1, jnp.zeros(()))(x), blurred, atol=1e-6)
    np.testing.assert_allclose(
        Growth(1, jnp.float32(0.25))(x), 0.75 * blurred + 0.25 * sharp, atol=1e-6
    )
