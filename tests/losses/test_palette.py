import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.losses.palette import palette_distance


def images(key, mean):
    return 0.3 * jax.random.normal(jax.random.key(key), (4, 32, 32, 3)) + jnp.array(mean).reshape(
        1, 1, 1, 3
    )


def test_distance_of_a_shifted_palette_is_the_mean_projection_of_the_shift():
    x = images(0, [0.0, 0.0, 0.0])
    shift = jnp.array([0.3, -0.1, 0.2])
    distance = palette_distance(
        x, x + shift.reshape(1, 1, 1, 3), jax.random.key(1), projections=4096
    )
    # The mean of |cos| of the angle between a random direction and a vector in 3-D is one half.
    np.testing.assert_allclose(distance, jnp.linalg.norm(shift) / 2, rtol=0.03)


def test_where_colours_are_does_not_count_but_what_they_are():
    x = images(0, [0.2, 0.0, -0.2])
    key = jax.random.key(1)
    moved = jnp.roll(x, (8, 16), axis=(1, 2))[::-1]
    np.testing.assert_allclose(palette_distance(x, moved, key), 0, atol=1e-6)
    assert palette_distance(x, x[..., ::-1], key) > 0.05


def test_descending_its_gradient_brings_the_palette_of_the_style():
    style = images(0, [0.5, 0.0, -0.5])
    tint = jnp.zeros(3)
    x = images(1, [0.0, 0.0, 0.0])
    gradient = jax.jit(
        jax.grad(lambda t, key: palette_distance(x + t.reshape(1, 1, 1, 3), style, key))
    )
    for key in jax.random.split(jax.random.key(2), 200):
        tint -= 0.02 * gradient(tint, key)
    np.testing.assert_allclose(tint, [0.5, 0.0, -0.5], atol=0.06)
