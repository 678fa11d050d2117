"""The batch script's text, how it is submitted, and what it does in a real Slurm."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxstyle.errors import UserError
from launch import slurm
from launch.slurm import Job, batch_script, limit_seconds, refusal_reason, workdir_of

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
TRAIN = ("python", "-m", "jaxstyle.main", "--config=configs/anime.py", "--workdir=runs/anime")

RECIPE = """
from jaxstyle.config import default_config

def get_config():
    config = default_config()
    config.steps = 3
    config.batch_size = 4
    config.image_size = 32
    config.generator.size = "tiny"
    config.discriminator.width = 8
    config.discriminator.layers = 1
    # A bias below a norm has gradient zero, up to rounding, which Adam blows up.
    config.discriminator.norm = "none"
    config.losses.patch_nce.weight = 0.0
    config.data.content = "scenes:photo?count=4&size=48"
    config.data.style = "scenes:cel?count=4&first_seed=50&size=48"
    config.data.cache_dir = "cache"
    return config
"""


def script(job: Job, command=TRAIN) -> str:
    return batch_script(job, command, checkout=Path("/home/me/jaxstyle"), folder=Path("/scratch"))


def directives(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#SBATCH ")]


# ---- The text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "job"),
    [
        (
            "slurm_gpus.sh",
            Job(
                "anime",
                nodes=2,
                gpus_per_node=4,
                cpus_per_task=8,
                time="8:00:00",
                partition="gpu",
                options=("--account=vision",),
            ),
        ),
        ("slurm_cpus.sh", Job("anime", tasks_per_node=2, save_seconds=60)),
    ],
)
def test_the_script_is_the_golden_one(name, job):
    assert script(job) == (GOLDEN / name).read_text()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
@pytest.mark.parametrize("name", ["slurm_gpus.sh", "slurm_cpus.sh"])
def test_shellcheck_finds_nothing(name):
    done = subprocess.run(["shellcheck", GOLDEN / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_odd_names_are_quoted():
    text = script(Job("it's"), ["echo", "a b", "$HOME", "--workdir", "runs/50% off"])
    assert """#SBATCH '--job-name=it'"'"'s'""" in directives(text)
    # A per cent sign is Slurm's, in names of logs.
    assert "#SBATCH '--output=/scratch/runs/50%% off/slurm-%j.log'" in directives(text)
    assert "echo 'a b' '$HOME' --workdir 'runs/50% off' &" in text


def test_an_absolute_workdir_stays_so():
    text = script(Job("x"), ["echo", "--workdir=/data/run"])
    assert "#SBATCH --output=/data/run/slurm-%j.log" in directives(text)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 90 * 60),
        ("90:30", 90 * 60 + 30),
        ("8:00:00", 8 * 3600),
        ("1-12", 36 * 3600),
        ("2-0:30", 2 * 86400 + 30 * 60),
        ("1-1:1:1", 86400 + 3600 + 60 + 1),
    ],
)
def test_time_limits_are_read_as_slurm_reads_them(time, seconds):
    assert limit_seconds(time) == seconds


@pytest.mark.parametrize("time", ["soon", "8h", "1:2:3:4", "-1", "1-"])
def test_what_is_no_time_limit_is_refused(time):
    with pytest.raises(UserError, match="--time="):
        limit_seconds(time)


def test_a_limit_must_leave_time_to_train():
    with pytest.raises(UserError, match=r"--time=5 .*300 seconds"):
        script(Job("x", time="5"))
    assert script(Job("x", time="5", save_seconds=60))


def test_a_command_without_a_workdir_is_refused():
    with pytest.raises(UserError, match="--workdir"):
        workdir_of(["python", "-m", "jaxstyle.main", "--config=x.py"])


# ---- Submitting, to a stand-in -------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, and no programs but those that a test puts into its bin/."""
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def fake_sbatch(folder: Path, answer: str) -> None:
    path = folder / "bin" / "sbatch"
    path.write_text(f"""#!/bin/sh\necho "$@" >"{folder}/asked"\n{answer}\n""")
    path.chmod(0o755)


def test_what_is_submitted_stays_in_the_workdir(folder, capsys):
    fake_sbatch(folder, "echo '17;cluster'")
    assert slurm.main(["--nodes=3", "--", *TRAIN]) == 0
    path = folder / "runs" / "anime" / "slurm.sh"
    assert (folder / "asked").read_text() == f"--parsable {path}\n"
    assert "#SBATCH --nodes=3" in directives(path.read_text())
    assert "#SBATCH --job-name=anime" in directives(path.read_text())
    assert f"#SBATCH --chdir={folder}" in directives(path.read_text())
    assert f"job 17, log {folder}/runs/anime/slurm-17.log" in capsys.readouterr().out


def test_a_dry_run_prints_the_script_and_touches_nothing(folder, capsys):
    assert slurm.main(["--gpus_per_node=2", "--dry_run", "--", *TRAIN]) == 0
    assert "#SBATCH --ntasks-per-node=2" in directives(capsys.readouterr().out)
    assert [path.name for path in folder.iterdir()] == ["bin"]


def refusal(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        slurm.main([*arguments, "--", *TRAIN])
    assert exit_info.value.code == 1
    return capsys.readouterr().err


def test_refusals_are_one_line(folder, capsys):
    assert refusal(capsys).startswith("error: there is no sbatch here")
    fake_sbatch(folder, "echo 'sbatch: error: warned' >&2; echo 'sbatch: error: no' >&2; exit 1")
    message = refusal(capsys)
    assert message == f"error: sbatch refused {folder}/runs/anime/slurm.sh: no\n"
    told = """sbatch: unrecognized option '--acount=3'
Try "sbatch --help" for more information
"""
    assert refusal_reason(told) == "unrecognized option '--acount=3'"


def test_gpus_are_not_asked_for_where_jax_cannot_use_them(folder, capsys, monkeypatch):
    fake_sbatch(folder, "echo 1")
    monkeypatch.setattr(slurm.importlib.metadata, "entry_points", lambda group: ())
    assert "JAXSTYLE_EXTRAS=test,cuda" in refusal(capsys, "--gpus_per_node=1")
    assert not (folder / "asked").exists()


# ---- A real Slurm --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A folder to submit from: a recipe, and an environment that is there already."""
    root = tmp_path_factory.mktemp("check out")
    (root / "launch").mkdir()
    (root / "recipe.py").write_text(RECIPE)
    local = root / "launch" / "local.sh"
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"
    settings = "".join(
        f"export {name}='{value}'\n"
        for name, value in {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}.items()
    )
    python = Path(sys.executable).parent
    local.write_text(f'#!/bin/bash\n{settings}export PATH="{python}:$PATH"\nexec "$@"\n')
    local.chmod(0o755)
    return root


class Submitted:
    """A job in the queue, cancelled at the end of a `with`."""

    def __init__(self, checkout: Path, job: Job, command: list[str]):
        self.workdir = checkout / workdir_of(command)
        self.workdir.mkdir(parents=True)
        text = batch_script(job, command, checkout=checkout, folder=checkout)
        self.number = self._ask("sbatch", "--parsable", text=text)

    def __enter__(self) -> "Submitted":
        return self

    def __exit__(self, *_) -> None:
        subprocess.run(["scancel", self.number], check=True)

    def _ask(self, *command: str, text: str = "") -> str:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    def state(self) -> dict[str, str]:
        fields = self._ask("scontrol", "--oneliner", "show", "job", self.number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def log(self) -> str:
        path = self.workdir / f"slurm-{self.number}.log"
        return path.read_text() if path.exists() else ""

    def wait_for(self, what, seconds: float = 300) -> None:
        """Polls until `what()`. Fails where the job ends otherwise, or it takes too long."""
        end = time.monotonic() + seconds
        while not what():
            state = self.state()
            ended = state["JobState"] in ("FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
            assert not ended, f"{state['JobState']}\n{self.log()}"
            assert time.monotonic() < end, f"{state}\n{self.log()}"
            time.sleep(0.5)

    def start_again_now(self) -> None:
        """Slurm lets a requeued job wait for two minutes."""
        self.wait_for(lambda: self.state()["JobState"] == "PENDING")
        self._ask("scontrol", "update", f"JobId={self.number}", "StartTime=now")

    def wait_until_complete(self) -> None:
        self.wait_for(lambda: self.state()["JobState"] == "COMPLETED")

    def signal_script(self, name: str) -> None:
        self._ask("scancel", "--batch", f"--signal={name}", self.number)

    def requeue(self) -> None:
        self._ask("scontrol", "requeue", self.number)


# Notes each start; the first goes on until it is told to stop, as training does, the next is done.
RUN = """
set -- "${1#--workdir=}"
echo started >>"$1/starts"
[[ $(wc -l <"$1/starts") -gt 1 ]] && exit
trap 'echo told >>"$1/starts"; exit 143' TERM
sleep 60 &
wait
"""


class Waiting(Submitted):
    """A job that does what RUN says."""

    def __init__(self, checkout: Path, name: str):
        (checkout / "run.sh").write_text(RUN)
        super().__init__(checkout, Job(name), ["bash", "run.sh", f"--workdir=runs/{name}"])

    def starts(self) -> list[str]:
        path = self.workdir / "starts"
        return path.read_text().split() if path.exists() else []


def test_a_run_that_is_out_of_time_goes_back_into_the_queue(slurm, checkout):
    with Waiting(checkout, "out of time") as job:
        job.wait_for(job.starts)
        job.signal_script("USR1")  # what Slurm does before the limit
        job.start_again_now()
        job.wait_until_complete()
        assert job.starts() == ["started", "told", "started"]
        assert job.state()["Restarts"] == "1"
        assert "out of time: back into the queue" in job.log()


def test_a_run_that_is_cancelled_does_not_come_back(slurm, checkout):
    with Waiting(checkout, "cancelled") as job:
        job.wait_for(job.starts)
        subprocess.run(["scancel", job.number], check=True)
        while job.state()["JobState"] == "COMPLETING":
            time.sleep(0.5)
        assert job.state()["JobState"] == "CANCELLED"
        assert job.state()["Restarts"] == "0"
        assert job.starts() == ["started", "told"]


def train(name: str, *settings: str) -> list[str]:
    return ["python", "-m", "jaxstyle.main", "--config=recipe.py", f"--workdir=runs/{name}"] + [
        f"--config.{setting}" for setting in settings
    ]


def parameters(workdir: Path) -> dict[str, np.ndarray]:
    return load_file(workdir / "model.safetensors")


def test_two_tasks_train_the_model_of_one_process(slurm, checkout):
    with Submitted(checkout, Job("two", tasks_per_node=2), train("two")) as job:
        subprocess.run([checkout / "launch" / "local.sh", *train("one")], cwd=checkout, check=True)
        job.wait_until_complete()
        assert "devices: 2 x cpu" in job.log()
        assert job.log().count("done: ") == 1
    two, one = parameters(job.workdir), parameters(checkout / "runs" / "one")
    assert two.keys() == one.keys()
    for name, value in one.items():
        # Sums over the batch add up in another order. Three steps move a parameter by up to 6e-4.
        np.testing.assert_allclose(two[name], value, atol=1e-5, rtol=0, err_msg=name)


def test_two_tasks_that_are_requeued_in_mid_training_go_on(slurm, checkout):
    command = train("requeued", "steps=120", "log_every=1", "checkpoint_every=1000")
    with Submitted(checkout, Job("requeued", tasks_per_node=2), command) as job:
        job.wait_for((job.workdir / "metrics.jsonl").exists)
        job.requeue()
        job.start_again_now()
        job.wait_until_complete()
        log = job.log()
    stopped = int(re.search(r"stopped at step (\d+), which is saved", log)[1])
    assert 0 < stopped < 120
    assert f"going on from step {stopped} in " in log
    lines = (job.workdir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 121))
