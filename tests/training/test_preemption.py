"""Training as clusters treat it: killed at any moment, and started again by the same command.

JAXSTYLE_KILLS says how often (3), each time at a moment drawn anew.
"""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxstyle.inference.bundle import load_bundle

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("JAXSTYLE_KILLS", "3"))
STEPS = 12

RECIPE = """
from jaxstyle.config import default_config

def get_config():
    config = default_config()
    config.steps = {steps}
    config.batch_size = 2
    config.image_size = 32
    config.devices = 1  # where going on is exact
    config.generator.size = "tiny"
    config.discriminator.width = 8
    config.discriminator.layers = 1
    config.losses.patch_nce.weight = 0.0
    config.data.content = "scenes:photo?count=2&size=48"
    config.data.style = "scenes:cel?count=2&first_seed=50"
    config.data.cache_dir = "{cache}"
    config.log_every = 1
    config.sample_every = {steps}
    config.checkpoint_every = 1
    config.keep_checkpoints = 2
    return config
"""


class Run:
    """One training, as often as it is started."""

    def __init__(self, recipe, workdir, environment):
        self.workdir = workdir
        self._recipe = recipe
        self._environment = environment

    def start(self, **environment) -> subprocess.Popen:
        arguments = [f"--config={self._recipe}", f"--workdir={self.workdir}"]
        return subprocess.Popen(
            [sys.executable, "-m", "jaxstyle.main", *arguments],
            env=self._environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> str:
        """Starts it and lets it train to the end; returns what it says."""
        with running(self.start()) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    def last_saved(self) -> int:
        folder = self.workdir / "checkpoints"
        return max((int(p.name) for p in folder.glob("*") if p.name.isdecimal()), default=0)

    def lines(self) -> list[dict]:
        path = self.workdir / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def new_run(tmp_path_factory):
    """Makes runs of one recipe, which share their rendered scenes and compiled programs."""
    folder = tmp_path_factory.mktemp("recipe")
    recipe = folder / "recipe.py"
    recipe.write_text(RECIPE.format(steps=STEPS, cache=folder / "cache"))
    return lambda workdir: Run(recipe, workdir, dict(os.environ))


@pytest.fixture(scope="module")
def uninterrupted(new_run, tmp_path_factory) -> Run:
    run = new_run(tmp_path_factory.mktemp("uninterrupted") / "run")
    run.finish()
    return run


def assert_same_end(run: Run, expected: Run) -> None:
    """Bit for bit; and each step is in the figures once."""
    last = ocp.PyTreeCheckpointHandler()
    states = [
        last.restore(r.workdir / "checkpoints" / str(STEPS) / "state") for r in (run, expected)
    ]
    assert len(jax.tree.leaves(states[0])) > 20
    jax.tree.map(np.testing.assert_array_equal, *states)
    bundles = [load_bundle(r.workdir / "model.safetensors") for r in (run, expected)]
    jax.tree.map(np.testing.assert_array_equal, *(bundle.parameters for bundle in bundles))
    assert bundles[0].metadata == bundles[1].metadata
    steps, wanted = (
        [{k: v for k, v in line.items() if k != "frames_per_second"} for line in r.lines()]
        for r in (run, expected)
    )
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    assert steps == wanted


def reached(step: int, run: Run, process: subprocess.Popen) -> bool:
    """Waits until that step is made; false if the run ends without."""
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):  # or half of its line
            lines = run.lines()
            if lines and lines[-1]["step"] >= step:
                return True
        time.sleep(0.01)
    return False


def leave_what_a_kill_may(workdir) -> None:
    """What is cut off while it is written; rare enough not to wait for."""
    for name in ("model.safetensors", "best.safetensors", "config.json"):
        (workdir / f".{name}.partial").write_bytes(b"cut o")
    (workdir / "metrics.partial").write_text('{"step": 1')
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2')
    folder = workdir / "checkpoints" / "7.partial.orbax-checkpoint-tmp"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_METADATA").write_text("{")


def kill_at_some_moment(run: Run, process: subprocess.Popen, draw: random.Random) -> None:
    """In a step soon after the last checkpoint, or in the middle of the next checkpoint."""
    saved = run.last_saved()
    if not reached(saved + draw.randint(1, 3), run, process):
        return
    if draw.random() < 0.5:
        while process.poll() is None and not list(run.workdir.glob("checkpoints/*.partial*")):
            pass
    time.sleep(draw.uniform(0.0, 0.1))
    process.kill()


def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_been(
    new_run, uninterrupted, tmp_path
):
    draw = random.Random(0)
    kills = starts = 0
    while kills < KILLS:
        run = new_run(tmp_path / str(starts))
        # Nearer to the end each start may be killed before it gets any further.
        while kills < KILLS and run.last_saved() < STEPS - 3:
            starts += 1
            assert starts < 2 * KILLS + 10, "the runs end before they can be killed"
            saved = run.last_saved()
            with running(run.start()) as process:
                kill_at_some_moment(run, process, draw)
                out, err = process.communicate()
            assert process.returncode in (-signal.SIGKILL, 0), err
            assert "error" not in err
            # From its last checkpoint, never from the start.
            assert re.findall(r"going on from step (\d+)", out) == [str(saved)] * (saved > 0)
            assert run.last_saved() >= saved
            kills += process.returncode != 0
            leave_what_a_kill_may(run.workdir)
        run.finish()
        assert_same_end(run, uninterrupted)
        print(f"{kills} kills, {starts} starts", flush=True)


def test_sigterm_while_it_compiles_and_two_of_them_later(new_run, uninterrupted, tmp_path):
    run = new_run(tmp_path / "run")
    with running(run.start(JAX_ENABLE_COMPILATION_CACHE="false")) as process:
        while not process.stdout.readline().startswith("data:"):
            assert process.poll() is None
        time.sleep(1)
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert run.last_saved() <= 1

    with running(run.start()) as process:
        assert reached(run.last_saved() + 2, run, process)
        process.terminate()
        time.sleep(0.05)
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert 0 < run.last_saved() < STEPS

    saved = run.last_saved()
    assert f"going on from step {saved}" in run.finish()
    assert_same_end(run, uninterrupted)
