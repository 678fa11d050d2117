import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxstyle.losses.flatness import flatness_loss


def random_images(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def gradients(x):
    here = x[:-1, :-1]
    return np.abs(x[1:, :-1] - here) + np.abs(x[:-1, 1:] - here)


def test_it_is_the_formula():
    output, reference = random_images(0, 2, 9, 12, 3), 0.1 * random_images(1, 2, 9, 12, 3)
    expected = []
    for out, ref in zip(output, reference, strict=True):
        slope = gradients(ref).mean(axis=-1)
        ones = np.ones_like(slope)
        # Windows of 5x5, smaller at the border.
        sums, counts = (ndimage.uniform_filter(m, 5, mode="constant") for m in (slope, ones))
        expected.append(gradients(out) * np.exp(-sums / counts / 0.05)[..., None])
    actual = flatness_loss(output, reference, 0.05)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, np.mean(expected), rtol=1e-4)


def test_texture_costs_in_flats_and_is_free_where_the_input_has_its_own():
    texture = random_images(0, 1, 16, 16, 3)
    flat = np.full_like(texture, 0.3)
    np.testing.assert_allclose(
        flatness_loss(texture, flat), gradients(texture[0]).mean(), rtol=1e-5
    )
    assert flatness_loss(texture, random_images(1, 1, 16, 16, 3)) < 1e-3
    assert flatness_loss(flat, flat) == 0


def test_the_reference_is_left_alone():
    output, reference = random_images(0, 1, 8, 8, 3), random_images(1, 1, 8, 8, 3)
    assert not jax.grad(flatness_loss, 1)(output, 0.1 * reference).any()
    assert jax.grad(flatness_loss)(output, 0.1 * reference).any()
