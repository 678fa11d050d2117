"""A run that is started again finds its compiled program: each process traces the same one."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TRACE = """
import functools, hashlib
import jax, numpy as np
from ml_collections import FrozenConfigDict
from jaxstyle.training import steps
from jaxstyle.training.default_config import default_config
from jaxstyle.training.networks import build_networks

config = default_config()
config.image_size = 16
config.generator.size = "nano"
config.discriminator.update({"width": 8, "layers": 1})
config.losses.patch_nce.update({"layers": (1, 2), "patches": 8, "width": 8})
config = FrozenConfigDict(config)
networks = build_networks(config)
init = functools.partial(steps.init_state, networks, config)
step = functools.partial(
    steps.train_step, networks=networks, config=config, updates=steps.updates_at(0, config)
)
images = jax.ShapeDtypeStruct((2, 16, 16, 3), np.uint8)
batch = dict.fromkeys(("content", "style", "style_smooth"), images)
traced = jax.make_jaxpr(step)(jax.eval_shape(init, jax.random.key(0)), batch, {})
print(hashlib.sha256(str(traced.jaxpr).encode()).hexdigest())
"""


def test_a_step_is_the_same_program_whatever_the_order_of_sets():
    programs = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", TRACE]
        traced = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert traced.returncode == 0, traced.stderr
        programs.add(traced.stdout)
    assert len(programs) == 1
