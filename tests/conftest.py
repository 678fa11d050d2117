"""Strict JAX for every test: an implicit promotion of a dtype or a rank is a bug."""

import os
from pathlib import Path

# Four simulated devices, so that one process can compare sharded with unsharded training.
# Must be set before jax is imported anywhere.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

MEDIA = Path(__file__).parents[2] / "shared" / "media"


@pytest.fixture
def media() -> Path:
    """Real photos, art and clips beside the checkout; tests that need them skip without them."""
    if not MEDIA.is_dir():
        pytest.skip("no media folder beside this checkout")
    return MEDIA
