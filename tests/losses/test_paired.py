import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxstyle.losses.paired import blurred_l1, gradient_l1


def test_gradient_l1_compares_differences_of_neighbours():
    a, b = np.asarray(jax.random.normal(jax.random.key(0), (2, 2, 5, 7, 3)))
    expected = (
        np.abs(np.diff(a, axis=1) - np.diff(b, axis=1)).mean()
        + np.abs(np.diff(a, axis=2) - np.diff(b, axis=2)).mean()
    )
    np.testing.assert_allclose(gradient_l1(jnp.asarray(a), jnp.asarray(b)), expected, rtol=1e-5)


def test_an_offset_costs_nothing_and_a_missing_line_does():
    flat = jnp.zeros((1, 8, 8, 3))
    line = flat.at[:, 4].set(1.0)
    assert gradient_l1(line, line + 0.5) == 0
    # Two rows of the seven vertical differences are 1.
    np.testing.assert_allclose(gradient_l1(line, flat), 2 / 7, rtol=1e-6)


def test_blurred_l1_compares_means_of_nine_pixels():
    a, b = np.asarray(jax.random.normal(jax.random.key(0), (2, 2, 5, 7, 3)))

    def blurred(x):
        # Of fewer pixels at the border.
        sums, counts = (
            ndimage.uniform_filter(m, (0, 3, 3, 0), mode="constant") for m in (x, np.ones_like(x))
        )
        return sums / counts

    expected = np.abs(blurred(a) - blurred(b)).mean()
    np.testing.assert_allclose(blurred_l1(jnp.asarray(a), jnp.asarray(b)), expected, rtol=1e-5)
