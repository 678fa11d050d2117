"""Several processes train one model: the same one as a process alone, and they stop together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxstyle.errors import UserError
from jaxstyle.training import distributed

pytestmark = pytest.mark.slow

RECIPE = """
from jaxstyle.config import default_config

def get_config():
    config = default_config()
    config.steps = 6
    config.batch_size = 8
    config.image_size = 32
    config.generator.size = "nano"
    # A bias below a norm has gradient zero, up to rounding, which Adam blows up.
    config.discriminator.update({"width": 8, "layers": 1, "norm": "none"})
    config.losses.patch_nce.update({"layers": (1, 2), "patches": 8, "width": 8})
    config.losses.palette.weight = 1.0
    config.data.content = "scenes:photo?count=12&size=48"
    config.data.style = "scenes:cel?count=10&size=48&first_seed=50"
    config.data.cache_dir = "CACHE"
    config.log_every = 1
    config.sample_every = 4
    config.checkpoint_every = 4
    return config
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    path = folder / "recipe.py"
    path.write_text(RECIPE.replace("CACHE", str(folder)))
    return path


@pytest.fixture(scope="module")
def start(recipe):
    """Starts the processes of a run with so many simulated devices each.

    of_last: what only the last of them is told.
    """
    started = []

    def start(
        workdir: Path, processes: int, devices: int, *overrides, of_last: tuple[str, ...] = ()
    ) -> list[subprocess.Popen]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        # The last of a flag counts.
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
        environment = os.environ | {"XLA_FLAGS": flags}
        command = [sys.executable, "-m", "jaxstyle.main", f"--config={recipe}"]
        for i in range(processes):
            job = {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(processes),
                "JAX_PROCESS_ID": str(i),
            }
            child = subprocess.Popen(
                [
                    *command,
                    f"--workdir={workdir}",
                    *overrides,
                    *(of_last if i == processes - 1 else ()),
                ],
                env=environment | (job if processes > 1 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(child)
        return started[-processes:]

    yield start
    for child in started:
        child.kill()
        child.communicate()


def ended(children: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """Each one's exit status, and what it said."""
    said = [child.communicate(timeout=300)[0] for child in children]
    return [(child.returncode, text) for child, text in zip(children, said, strict=True)]


def logged(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(start, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("alone")
    assert ended(start(workdir, 1, 1))[0][0] == 0
    return workdir


@pytest.mark.parametrize(
    ("processes", "devices", "override"),
    # One process with several devices is in test_parallel.py.
    [(2, 2, "jit"), (2, 2, "pmap")],
)
def test_they_train_the_model_of_one(start, alone, tmp_path, processes, devices, override):
    children = start(tmp_path, processes, devices, f"--config.parallelism={override}")
    for status, said in ended(children):
        assert status == 0, said
    model, expected = (load_file(w / "model.safetensors") for w in (tmp_path, alone))
    assert model.keys() == expected.keys()
    for name, values in model.items():
        # Sums over the batch add up in another order. Six steps move a parameter by up to 1e-3.
        np.testing.assert_allclose(values, expected[name], atol=1e-5, err_msg=name)
    for ours, theirs in zip(logged(tmp_path), logged(alone), strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"frames_per_second"}:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, err_msg=name)


def test_a_signal_to_one_stops_all_and_others_go_on_from_there(start, alone, tmp_path):
    first, second = start(tmp_path, 2, 2, "--config.checkpoint_every=1000", "--config.steps=3000")
    progress = tmp_path / "metrics.jsonl"
    while not (progress.exists() and progress.read_text().count("\n") > 2):
        assert second.poll() is None, second.communicate()[0]
        time.sleep(0.1)
    second.send_signal(signal.SIGTERM)
    (first_status, said), (second_status, silence) = ended([first, second])
    assert (first_status, second_status) == (143, 143), said + silence
    assert "stopped at step" in said
    assert "stopped at step" not in silence
    (saved,) = (tmp_path / "checkpoints").glob("[0-9]*")
    # One process, with other devices.
    (child,) = start(tmp_path, 1, 4, "--config.checkpoint_every=1000", "--config.steps=3000")
    while not (lines := child.stdout.readline()).startswith("going on from step"):
        assert lines, "it ended"
    assert f"going on from step {int(saved.name)} in" in lines


def test_processes_that_would_train_different_models_are_refused(start, tmp_path):
    children = start(tmp_path, 2, 1, of_last=("--config.losses.palette.weight=2",))
    (first_status, _), (status, said) = ended(children)
    assert (first_status, status) == (1, 1)
    assert "error: process 1: the processes of this job do not have the same config" in said


def test_a_process_that_fails_does_not_leave_the_others_waiting(start, tmp_path):
    """The last one has no film where the others have scenes."""
    children = start(tmp_path, 2, 1, of_last=("--config.data.style=nowhere.mkv",))
    (first_status, _), (status, said) = ended(children)
    assert first_status != 0
    assert status == 1
    assert "error: process 1: nowhere.mkv: no such source" in said


def test_a_process_alone_is_no_job(monkeypatch):
    for name in ("JAX_COORDINATOR_ADDRESS", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a, **k: pytest.fail("joined a job"))
    distributed.initialize()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    distributed.initialize()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JAX_COORDINATOR_ADDRESS", "localhost", "it must be host:port"),
        ("JAX_PROCESS_ID", "2", "is 2, but there are 2 processes, counted from 0"),
    ],
)
def test_a_job_that_cannot_be_is_refused(monkeypatch, name, value, message):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1234")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        distributed.initialize()


@pytest.mark.parametrize("name", ["JAX_NUM_PROCESSES", "JAX_PROCESS_ID"])
@pytest.mark.parametrize("value", [None, "two"])
def test_half_a_job_is_refused(monkeypatch, name, value):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1234")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    monkeypatch.delenv(name)
    if value:
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{name} is '{value or ''}'; it must be a whole number"):
        distributed.initialize()


@pytest.mark.parametrize(
    ("nodes", "visible", "expected"),
    [
        ("2", None, "chosen"),  # several on a node, each takes the GPU of its number
        ("2", "0,1", "chosen"),
        ("2", "1", "all"),  # Slurm has bound each to one
        ("4", "0,1,2,3", "all"),  # one a node
        ("4", None, "all"),
    ],
)
def test_the_gpus_that_a_task_of_slurm_has(monkeypatch, nodes, visible, expected):
    updates = {}
    joined = {}
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS", raising=False)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", nodes)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **given: joined.update(given))
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    distributed.initialize()
    assert (joined["num_processes"], joined["process_id"]) == (4, 3)
    assert updates.get("jax_cuda_visible_devices", "chosen") == expected
