"""Strict JAX for every test: an implicit promotion of a dtype or a rank is a bug."""

import os
from pathlib import Path

# Four simulated devices, so that one process can compare sharded with unsharded training; and
# programs that are compiled quickly, for most of the time here goes into compiling what then runs
# once. Must be set before jax is imported anywhere.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=4",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
    ]
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples on every machine and day: what fails once fails again.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("repeatable")

# Each may take 4 GB of memory.
MOST_PROCESSES = 4

MEDIA = Path(__file__).parents[2] / "shared" / "media"


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config):
    """A process per core for the whole suite; a part of it stays in this one, where pdb works."""
    cores = yield
    return min(cores, MOST_PROCESSES) if config.args == config.getini("testpaths") else 0


@pytest.fixture
def media() -> Path:
    """Real photos, art and clips beside the checkout; tests that need them skip without them."""
    if not MEDIA.is_dir():
        pytest.skip("no media folder beside this checkout")
    return MEDIA


@pytest.fixture(scope="module")
def quick_compilation(tmp_path_factory):
    """Programs are compiled quickly, for they run a few steps only, and once for a whole module.

    Gives the environment variables that have child processes do the same.
    """
    folder = str(tmp_path_factory.mktemp("compiled"))
    settings = {
        "jax_compilation_cache_dir": folder,
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_disable_most_optimizations": True,
    }
    before = {name: jax.config.values[name] for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield {name.upper(): str(value) for name, value in settings.items()}
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
