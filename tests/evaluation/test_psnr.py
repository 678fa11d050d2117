import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.evaluation.psnr import psnr


def test_is_the_formula_of_each_image_and_finite_where_they_are_equal():
    rng = np.random.default_rng(0)
    a = rng.uniform(size=(4, 6, 9, 3)).astype(np.float32)
    b = a.copy()
    b[1] = np.clip(a[1] + rng.normal(0, 0.1, a[1].shape), 0, 1)
    b[2] += 1 / 255
    b[3] = a[3] > 0.5
    errors = np.square(a.astype(np.float64) - b).mean((1, 2, 3))
    expected = [100, *(10 * np.log10(1 / errors[1:]))]
    actual = psnr(jnp.asarray(a), jnp.asarray(b))
    assert actual.shape == (4,)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    np.testing.assert_allclose(actual[2], 48.13, atol=0.01)


def test_opposite_images_are_at_zero():
    np.testing.assert_allclose(
        psnr(jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 3))), [0], atol=1e-6
    )


def test_rejects_images_that_cannot_be_compared():
    with pytest.raises(ValueError, match="equal"):
        psnr(jnp.zeros((1, 4, 4, 3)), jnp.zeros((1, 4, 5, 3)))
