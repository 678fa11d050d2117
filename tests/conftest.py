"""Strict JAX for every test: an implicit promotion of a dtype or a rank is a bug."""

import gc
import os
import signal
import tempfile
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

# What one process has compiled is not compiled again by another, be it a worker of pytest-xdist or
# a command under test: they inherit these variables. Whoever sets the first, keeps the programs for
# the next run.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled_programs = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled_programs.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# What is started in the background (`pytest &`) ignores Ctrl-C, and by `nohup` the end of the
# terminal, and so would commands under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Programs need not say which line of ours each operation comes from.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import hypothesis
import jax
import pytest

# Nor need garbage collection go through what is imported, or through what is being traced.
gc.freeze()
gc.set_threshold(100_000)

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What is not marked as slow is marked as fast, for `pytest -m fast`."""
    for item in items:
        if item.get_closest_marker("slow") is None:
            item.add_marker("fast")


@pytest.fixture
def media() -> Path:
    """Real photos, art and clips beside the checkout; tests that need them skip without them."""
    if not MEDIA.is_dir():
        pytest.skip("no media folder beside this checkout")
    return MEDIA
