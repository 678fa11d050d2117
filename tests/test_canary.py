"""A broken JAX is refused before it spoils a training run: 0.10.2 reduced wrongly on CPU."""

import jax
import jax.numpy as jnp
import numpy as np


def test_jitted_matvec_and_reduce_agree_with_numpy():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(257, 129)).astype(np.float32)
    vector = rng.normal(size=129).astype(np.float32)

    @jax.jit
    def both(matrix, vector):
        product = matrix @ vector
        return product, jnp.square(product).sum(), jnp.abs(matrix).mean(axis=0).max()

    product, energy, largest = both(matrix, vector)
    reference = matrix.astype(np.float64) @ vector
    np.testing.assert_allclose(product, reference, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(energy, (reference**2).sum(), rtol=1e-4)
    np.testing.assert_allclose(largest, np.abs(matrix).mean(axis=0).max(), rtol=1e-5)
