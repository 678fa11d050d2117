"""A sweep as an array of a real Slurm, and a run of it that is requeued in mid-training."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]

ROOT = Path(__file__).parents[2]
TIMEOUT = 300  # seconds, for what takes less than one minute on two free cores

RECIPE = """
from jaxstyle.config import default_config, sweeps

def get_config():
    config = default_config()
    config.steps = 100
    config.batch_size = 2
    config.image_size = 32
    config.generator.size = "nano"
    config.discriminator.width = 8
    config.discriminator.layers = 1
    config.losses.patch_nce.weight = 0.0
    config.data.content = "scenes:photo?count=2&size=48"
    config.data.style = "scenes:cel?count=2&size=48&first_seed=50"
    config.data.cache_dir = "CACHE"
    config.log_every = 10
    config.checkpoint_every = 10
    config.sample_every = 100
    config.evaluation.every = 100
    config.evaluation.size = 64
    config.evaluation.count = 2
    return config

def sweep():
    return sweeps.product(sweeps.grid({"losses.palette.weight": [0.0, 4.0]}), sweeps.seeds(2))
"""


@pytest.fixture
def sweep(tmp_path):
    """Runs the command with further arguments; returns what it prints."""
    pytest.importorskip("submitit")
    recipe = tmp_path / "recipe.py"
    recipe.write_text(RECIPE.replace("CACHE", str(tmp_path / "cache")))
    arguments = [f"--config={recipe}", f"--workdir={tmp_path / 'sweep'}"]

    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"

    def command(*further: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "launch.sweep", *arguments, *further],
            cwd=ROOT,
            env=os.environ | {"XLA_FLAGS": flags},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


def wait_for(condition) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def states(array: str) -> dict[str, str]:
    """The state of each task of an array that Slurm still has."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--array", "--me", "--format=%i %T"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split() for line in answer.stdout.splitlines())
    return {job: state for job, state in found.items() if job.startswith(f"{array}_")}


def test_a_sweep_as_an_array_with_a_run_that_is_requeued(sweep, tmp_path):
    folder = tmp_path / "sweep"
    slurm_options = ["--launcher=slurm", "--time=20", "--save_seconds=60"]
    assert "4 to start" in sweep(*slurm_options)
    jobs = json.loads((folder / "slurm" / "jobs.json").read_text())
    name, job = next(iter(jobs.items()))
    array = job.partition("_")[0]
    try:
        assert sorted(jobs.values()) == [f"{array}_{task}" for task in range(4)]
        wait_for((folder / name / "checkpoints" / "10").exists)
        subprocess.run(["scontrol", "requeue", job], check=True)
        # What is queued is not submitted a second time.
        assert "0 to go on with, 0 to start" in sweep(*slurm_options)
        wait_for(lambda: states(array).get(job) == "PENDING")
        # Slurm would wait for two minutes.
        subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], check=True)
        wait_for(lambda: not states(array))
    finally:
        subprocess.run(["scancel", array])

    log = (folder / name / "log.txt").read_text()
    stopped, resumed = log.split("going on from step ")
    saved = int(resumed.split()[0])
    assert 10 <= saved < 100
    assert f"stopped at step {saved}, which is saved" in stopped
    metrics = [
        json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in metrics if line["step"] % 10 == 0] == list(range(10, 101, 10))

    told = sweep("--status", "--sort=color_histogram")
    assert told.count("100/100") == 4
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert sorted(row["run"] for row in rows) == sorted(jobs)
    assert all(row["finished"] == "yes" for row in rows)
    for row in rows:
        of_setting = [
            float(other["color_histogram"])
            for other in rows
            if other["losses.palette.weight"] == row["losses.palette.weight"]
        ]
        assert len(of_setting) == 2
        assert float(row["mean color_histogram"]) == pytest.approx(sum(of_setting) / 2, rel=1e-4)
    means = [float(row["mean color_histogram"]) for row in rows]
    assert means == sorted(means)
    assert (folder / "results.png").stat().st_size > 10_000
    assert "4 done, 0 running or queued, 0 to go on with, 0 to start" in sweep(*slurm_options)
