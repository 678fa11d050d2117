"""Sweeps without training: what is run where, what is refused, how far it is, what came out."""

import csv
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxstyle.errors import UserError
from jaxstyle.interrupt import Stopped
from launch.sweep import local, results, slurm
from launch.sweep.process import TrainingProcess
from launch.sweep.progress import Progress, is_finished, metrics_of, progress_of
from launch.sweep.runs import plan_runs, run_name

# How ml_collections loads a recipe.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]

RECIPE = """
from jaxstyle.config import default_config, sweeps

def get_config():
    config = default_config()
    config.steps = 100
    return config
"""


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe with a sweep; returns its path."""

    def write(found: str | None) -> str:
        path = tmp_path / "recipe.py"
        path.write_text(RECIPE + (f"\ndef sweep():\n    return {found}\n" if found else ""))
        return str(path)

    return write


@pytest.fixture
def planned(recipe, tmp_path):
    """Plans the runs of a sweep, which its text gives."""

    def plan(found: str, **common):
        return plan_runs(recipe(found), common, tmp_path / "sweep")

    return plan


def four_runs(planned, **common):
    return planned(
        "sweeps.product(sweeps.grid({'losses.warp.weight': [0.5, 4]}), sweeps.seeds(2))", **common
    )


def with_command(run, program: str):
    """The same run, of another program."""
    fields = {**vars(run), "command": (sys.executable, "-c", program)}
    return type(run)(**fields)


def finish(run, **metrics: float) -> None:
    """Leaves in its folder what a run leaves that is finished."""
    run.workdir.mkdir(parents=True, exist_ok=True)
    metadata = {"step": run.config.steps, "figures": metrics}
    tensors = {"kernel": np.zeros(1, np.float32)}
    save_file(tensors, run.workdir / "model.safetensors", {"jaxstyle": json.dumps(metadata)})


# ---- Runs ----------------------------------------------------------------------------------------


def test_each_run_has_the_command_line_that_trains_it(planned, tmp_path):
    runs = four_runs(planned, batch_size=4)
    assert [run.name for run in runs] == [
        "losses.warp.weight=0.5,seed=0",
        "losses.warp.weight=0.5,seed=1",
        "losses.warp.weight=4,seed=0",
        "losses.warp.weight=4,seed=1",
    ]
    assert runs[3].command == (
        *(sys.executable, "-m", "jaxstyle.main", f"--config={tmp_path}/recipe.py"),
        f"--workdir={tmp_path}/sweep/losses.warp.weight=4,seed=1",
        *("--config.batch_size=4", "--config.losses.warp.weight=4", "--config.seed=1"),
    )
    config = runs[3].config
    assert (config.batch_size, config.losses.warp.weight, config.seed) == (4, 4.0, 1)


def test_values_of_every_type_arrive_as_they_are(planned):
    given = {
        "seed": 3,
        "losses.warp.weight": 1e-5,
        "data.flip": False,
        "data.style": "it's a 'folder', with=signs",
        "data.crop_scale": (0.25, 1.0),
        "losses.perceptual.layers": ["conv1_1"],
    }
    (run,) = planned(repr([given]))
    assert run.overrides == {**given, "losses.perceptual.layers": ("conv1_1",)}
    (run,) = planned("[{'seed': __import__('numpy').int64(7)}]")
    assert run.overrides == {"seed": 7}


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (None, "has no sweep"),
        ("[]", "is empty"),
        ("1 / 0", "ZeroDivisionError"),
        ("[3]", "should give dicts"),
        ("[{'seed': 1}, {'nosuch': 1}]", "config.nosuch=1"),
        ("[{'losses.warp.nosuch': 1}]", "config.losses.warp.nosuch=1"),
        ("[{'stpes': 1}]", 'fails: Did you mean "steps" instead of "stpes"\\?$'),
        ("[{'seed': 'many'}]", "config.seed=many.*: 'many'$"),
        ("[{'generator.size': 'huge'}]", "with config.generator.size=huge: "),
        (
            "[{'losses.patch_nce.layers': (0, 9), 'seed': s} for s in (1, 2)]",
            "config.losses.patch_nce.layers is \\(0, 9\\)",
        ),
        ("[{'seed': 1.5}]", "config.seed=1.5"),
        ("[{'seed': True}]", "config.seed=True"),
        ("[{'data': {'flip': True}}]", "config.data a dict"),
        ("[{'image_size': 33}]", "config.image_size is 33"),
        ("[{'seed': 1}, {'seed': 1}]", "two runs with config.seed=1"),
        ("sweeps.grid({'losses.warp.weight': [4, 4.0]})", "two runs"),
        ("[{'batch_size': 2}]", "leave it off the command line"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused(recipe, tmp_path, sweep, said):
    with pytest.raises(UserError, match=said) as raised:
        plan_runs(recipe(sweep), {"batch_size": 4}, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_sweep_is_read_from_a_python_file_alone(recipe, tmp_path):
    path = Path(recipe("sweeps.seeds(2)")).rename(tmp_path / "recipe.txt")
    with pytest.raises(UserError, match=r"recipe\.txt is not a Python file"):
        plan_runs(str(path), {}, tmp_path)


def test_names_are_safe_and_differ_where_overrides_do():
    names = [
        run_name(overrides)
        for overrides in (
            {},
            {"seed": 1},
            {"seed": 10},
            {"data.style": "a,seed=1"},
            {"data.style": "a", "seed": 1},
            {"data.style": "A", "seed": 1},
            {"data.style": "a/b"},
            {"data.style": "a_b"},
            {"data.style": "../.."},
            {"data.style": ""},
            {"data.style": "~"},
            {"data.style": "x" * 300},
            {"data.style": "x" * 301},
            {"data.crop_scale": (0.5, 1.0)},
            {"data.crop_scale": (0.5, 1)},
        )
    ]
    assert len({name.lower() for name in names}) == len(names)
    assert all(len(name) <= 100 and not set(name) & set("/\\ '\"()~:*?") - {"~"} for name in names)
    assert run_name({"seed": 1, "data.flip": True}) == "data.flip=true,seed=1"


# ---- The command ---------------------------------------------------------------------------------


def sweep_command(*arguments) -> list[str]:
    return [sys.executable, "-m", "launch.sweep", *map(str, arguments)]


def test_dry_run_prints_lines_for_a_shell_and_writes_nothing(recipe, tmp_path):
    path = recipe("[{'data.style': 'my film.mp4'}, {'data.style': \"it's\"}]")
    folder = tmp_path / "my sweep"
    arguments = [f"--config={path}", f"--workdir={folder}", "--config.steps=7", "--dry_run"]
    done = subprocess.run(
        sweep_command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    common = {"steps": 7}
    expected = [list(run.command) for run in plan_runs(path, common, folder)]
    assert [shlex.split(line) for line in done.stdout.splitlines()] == expected
    assert not folder.exists()


def test_mistakes_end_the_command_with_one_line(recipe, tmp_path):
    arguments = [f"--config={recipe('sweeps.seeds(2)')}", f"--workdir={tmp_path / 'sweep'}"]
    lines = {
        "--gpus is for --launcher=slurm": "--gpus=1",
        "should be one of": "--launcher=pigeon",
    }
    running = {
        expected: subprocess.Popen(
            sweep_command(*arguments, wrong), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for expected, wrong in lines.items()
    }
    for expected, process in running.items():
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1
        assert stderr.startswith("error: ")
        assert expected in stderr
        assert stderr.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


# ---- Training here -------------------------------------------------------------------------------

# Counts to 40 from where it was, as a training does; saves on SIGTERM.
COUNTS = """
import pathlib, signal, sys, time
steps = pathlib.Path("steps")
signal.signal(signal.SIGTERM, lambda *_: (steps.write_text(str(n)), sys.exit(143)))
for n in range(int(steps.read_text()) if steps.exists() else 0, 40):
    print(n, flush=True)
    time.sleep(0.05)
"""


def in_its_folder(run, program: str = COUNTS):
    change = f"import os; os.chdir({str(run.workdir)!r})\n"
    return with_command(run, change + program)


def test_as_many_runs_as_asked_for_train_at_a_time(planned):
    program = "import time; print(time.time()); time.sleep(0.7); print(time.time())"
    runs = [with_command(run, program) for run in four_runs(planned)]
    assert local.train_here(runs, jobs=2) == []
    spans = [tuple(map(float, (run.workdir / "log.txt").read_text().split())) for run in runs]
    together = [sum(start <= at < end for start, end in spans) for at, _ in spans]
    assert max(together) == 2


def test_a_run_that_fails_does_not_keep_the_others_from_training(planned):
    broken, *fine = four_runs(planned)
    broken = with_command(broken, "import sys; print('error: no such film'); sys.exit(1)")
    fine = [with_command(run, "pass") for run in fine]
    assert local.train_here([broken, *fine], jobs=1) == [broken]
    progress = progress_of(broken, {})
    assert (progress.state, progress.reason) == ("failed", "error: no such film")
    # Started again, it waits for its turn like the others.
    states = (
        "from launch.sweep.process import exit_status as e; print(e(pathlib.Path(sys.argv[1])))"
    )
    look = with_command(
        fine[0], f"import pathlib, sys; sys.argv.append({str(broken.workdir)!r}); {states}"
    )
    assert local.train_here([look, with_command(broken, "pass")], jobs=1) == []
    assert (look.workdir / "log.txt").read_text() == "None\n"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_runs_save_and_starts_no_more(planned, signum):
    runs = [in_its_folder(run) for run in four_runs(planned)]
    timer = subprocess.Popen(
        ["sh", "-c", f"sleep 1; kill -{int(signum)} $PPID"], start_new_session=True
    )
    with pytest.raises(Stopped) as raised:
        local.train_here(runs, jobs=2)
    timer.wait()
    assert raised.value.code == 128 + signum
    assert [(run.workdir / "steps").exists() for run in runs] == [True, True, False, False]
    states = [progress_of(run, {}).state for run in runs]
    assert states == ["stopped", "stopped", "waiting", "waiting"]
    # Each goes on where it was.
    assert local.train_here(runs[:1], jobs=1) == []
    counted = (runs[0].workdir / "log.txt").read_text().split()
    assert sorted(set(map(int, counted))) == list(range(40))
    assert len(counted) <= 41


def test_two_processes_never_train_in_one_folder(planned):
    run = in_its_folder(four_runs(planned)[0])
    process = TrainingProcess(run.command, run.workdir)
    try:
        assert progress_of(run, {}).state == "running"
        with pytest.raises(UserError, match="another process"):
            TrainingProcess(run.command, run.workdir)
    finally:
        process.kill()
        process.wait()
    # SIGKILL is no polite way to stop.
    assert progress_of(run, {}).state == "failed"


def test_runs_share_cores_and_gpus(monkeypatch):
    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    shares = [local.share(slot, 3) for slot in range(3)]
    assert sorted(core for cores, _ in shares for core in cores) == list(range(8))
    assert [v["CUDA_VISIBLE_DEVICES"] for _, v in shares] == ["4", "5", "6"]
    assert local.share(0, 1)[1] == {"CUDA_VISIBLE_DEVICES": "4,5,6"}
    crowded = [local.share(slot, 4)[1] for slot in range(4)]
    assert [v["CUDA_VISIBLE_DEVICES"] for v in crowded] == ["4", "5", "6", "4"]
    assert all("XLA_PYTHON_CLIENT_PREALLOCATE" in v for v in crowded)
    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: {3})
    assert [local.share(slot, 2)[0] for slot in range(2)] == [[3], [3]]


def test_a_run_keeps_to_its_cores(planned):
    run = four_runs(planned)[0]
    one = min(local.os.sched_getaffinity(0))
    before = local.os.sched_getaffinity(0)
    run = with_command(run, "import os; print(sorted(os.sched_getaffinity(0)))")
    TrainingProcess(run.command, run.workdir, cores=[one]).wait()
    assert (run.workdir / "log.txt").read_text() == f"[{one}]\n"
    assert local.os.sched_getaffinity(0) == before


# ---- Progress ------------------------------------------------------------------------------------


def test_a_run_is_finished_with_the_figures_of_its_last_step(planned):
    run, _ = planned("sweeps.seeds(2)", **{"evaluation.every": 50})
    assert not is_finished(run)
    finish(run)  # killed between the last checkpoint and the evaluation
    assert not is_finished(run)
    finish(run, swd=0.5)
    assert is_finished(run)
    assert progress_of(run, {}).state == "done"
    (run.workdir / "model.safetensors").write_bytes(b"half")
    assert not is_finished(run)


def test_progress_is_read_from_the_metrics(planned):
    run, other = planned("sweeps.seeds(2)", batch_size=8)
    run.workdir.mkdir(parents=True)
    (run.workdir / "metrics.jsonl").write_text(
        '{"step": 20, "frames_per_second": 16.0, "evaluation/swd": 0.5}\n'
        '{"step": 40, "frames_per_second": 16.0}\n{"step": 60, "fr'
    )
    progress = progress_of(run, {run.name: "running"})
    assert (progress.state, progress.step, progress.seconds_left) == ("running", 40, 30.0)
    # Cut off, it would go on from its checkpoint.
    (run.workdir / "checkpoints" / "30").mkdir(parents=True)
    (run.workdir / "checkpoints" / "50.orbax-checkpoint-tmp").mkdir()
    (run.workdir / "log.txt").touch()
    assert vars(progress_of(run, {})) == vars(Progress("stopped", 30))
    assert progress_of(other, {other.name: "waiting"}).state == "waiting"
    assert metrics_of(run) == (20, {"swd": 0.5})
    assert metrics_of(other) == (0, {})


# ---- Results -------------------------------------------------------------------------------------


@pytest.fixture
def measured(planned):
    """Runs, and results of them: the larger weight has the lower figures; one run is half done."""
    runs = four_runs(planned)
    vary = results.varying(runs)
    metrics = [{"swd": swd, "ssim": 1 - swd} for swd in (0.75, 0.5, 0.25, 0.125)]
    found = [
        results.Result(
            run, {"losses.warp.weight": vary[run.name]["losses.warp.weight"]}, 100, i != 2, f
        )
        for i, (run, f) in enumerate(zip(runs, metrics, strict=True))
    ]
    return runs, vary, found


def test_settings_are_ranked_by_the_mean_over_their_seeds(measured):
    _, _, found = measured
    best, worst = results.ranked(found, "swd")
    assert best.values == {"losses.warp.weight": 4.0}
    assert (best.mean, best.spread) == (0.125, None)  # of the one that is finished
    assert [result.metrics["swd"] for result in worst.results] == [0.5, 0.75]
    assert worst.mean == 0.625
    assert worst.spread == pytest.approx(0.25 / 2**0.5)
    # Of SSIM more is better.
    assert results.ranked(found, "ssim")[0].values == {"losses.warp.weight": 4.0}
    with pytest.raises(UserError, match="there are: swd, ssim"):
        results.ranked(found, "fid")


def test_the_csv_has_a_row_a_run_best_first(measured):
    _, vary, found = measured
    text = results.results_csv(results.ranked(found, "swd"), "swd", vary)
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["run"] for row in rows] == [found[i].run.name for i in (3, 2, 1, 0)]
    assert rows[2] == {
        "run": "losses.warp.weight=0.5,seed=1",
        "losses.warp.weight": "0.5",
        "seed": "1",
        "step": "100",
        "finished": "yes",
        "mean swd": "0.625",
        "spread swd": "0.176777",
        "swd": "0.5",
        "ssim": "0.5",
    }
    assert rows[1]["finished"] == "no"


def test_the_picture_shows_what_the_best_runs_make(measured):
    _, _, found = measured
    settings = results.ranked(found, "swd")
    without = cv2.imdecode(np.frombuffer(results.results_png(settings, "swd"), np.uint8), 1)
    sample = found[3].run.workdir / "samples" / "0000100.png"
    sample.parent.mkdir(parents=True)
    cv2.imwrite(str(sample), np.full((32, 32, 3), (0, 0, 255), np.uint8))
    shown = cv2.imdecode(np.frombuffer(results.results_png(settings, "swd"), np.uint8), 1)

    def red(picture):
        return (picture == (0, 0, 255)).all(-1).sum()

    assert red(without) == 0
    assert red(shown) > 10_000


# ---- Slurm, without one --------------------------------------------------------------------------


def test_without_slurm_it_says_so(planned, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    resources = slurm.Resources(minutes=10, save_seconds=60)
    with pytest.raises(UserError, match="no Slurm here"):
        slurm.submit_array(four_runs(planned), tmp_path / "sweep", None, resources)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'jaxstyle\[slurm\]'"):
        slurm.submit_array(four_runs(planned), tmp_path / "sweep", None, resources)
    assert not (tmp_path / "sweep").exists()


def test_what_slurm_has_is_known_by_the_numbers_of_its_jobs(tmp_path, monkeypatch):
    assert slurm.queued_runs(tmp_path) == {}
    (tmp_path / "slurm").mkdir()
    numbers = {"a": "7_0", "b": "7_1", "c": "7_2", "d": "7_3"}
    (tmp_path / "slurm" / "jobs.json").write_text(json.dumps(numbers))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="does not answer here"):
        slurm.queued_runs(tmp_path)
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho '7_0 RUNNING'; echo '7_2 PENDING'; echo '8_1 RUNNING'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert slurm.queued_runs(tmp_path) == {"a": "running", "c": "waiting"}


# What submitit does with a job: runs it, and upon SIGUSR2 asks for what is to be run next.
WATCHED = """
import pathlib, signal, sys
from launch.sweep.slurm import TrainingJob

job = TrainingJob([sys.executable, "-c", sys.argv[2]], pathlib.Path(sys.argv[1]))

def checkpoint(*_):
    again = job.checkpoint()
    print("again:", again.function._command[0], flush=True)
    sys.exit(7)

signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGUSR2, checkpoint)
job()
"""


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR2, 7)], ids=["taken", "time"]
)
def test_a_job_that_is_taken_away_saves_first(planned, signum, status):
    """Where Slurm signals the first process only, as it does with control groups."""
    pytest.importorskip("submitit")
    run = in_its_folder(four_runs(planned)[0])
    job = subprocess.Popen(
        [sys.executable, "-c", WATCHED, run.workdir, run.command[-1]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (run.workdir / "log.txt").exists() or not (run.workdir / "log.txt").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    job.send_signal(signum)
    told, _ = job.communicate(timeout=60)
    assert job.returncode == status
    assert int((run.workdir / "steps").read_text()) < 39
    assert told == (f"again: {sys.executable}\n" if signum == signal.SIGUSR2 else "")
