"""A broken JAX is refused before it spoils a training run.

jaxlib 0.10.2 left rows out of a product and a reduction that it had fused on CPU (jax#39103).
"""

import os
import subprocess
import sys

import pytest

# Fewer rows came out right, and so did much of what else one would try.
SQUARED_LENGTHS = """
import jax
import jax.numpy as jnp
import numpy as np
import pytest

def squared_lengths(matrix, rows):
    return jax.vmap(lambda row: jnp.square(matrix @ row).sum())(rows)

rng = np.random.default_rng(0)
matrix, rows = (rng.normal(size=(n, 3)).astype(np.float32) for n in (3, 32_769))
expected = np.square(rows.astype(np.float64) @ matrix.T).sum(axis=1)
for function in (squared_lengths, jax.jit(squared_lengths)):
    np.testing.assert_allclose(function(matrix, rows), expected, rtol=1e-4)
"""


@pytest.mark.slow
def test_what_is_compiled_computes_every_row_of_a_product():
    """As users run it: without what `conftest.py` tells the compiler."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", SQUARED_LENGTHS],
        env=environment | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
