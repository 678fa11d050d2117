"""Trains all runs of a recipe's `sweep()`, or tells how far they are: what `launch.sweep` does."""

import math
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from jaxstyle.errors import UserError, reported_in_one_line
from jaxstyle.evaluation import catalogue
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.interrupt import Stopped
from jaxstyle.training import config_flag
from jaxstyle.training.checkpoint import has_checkpoint
from jaxstyle.training.saved_config import check_config_unchanged
from launch.slurm import checked_limit
from launch.sweep import local, results, slurm
from launch.sweep.progress import Progress, metrics_of, progress_of
from launch.sweep.runs import Run, plan_runs

flags.adopt_module_key_flags(config_flag)
flags.DEFINE_string("workdir", None, "The folder of the sweep, with one for each run.")
_LAUNCHER = flags.DEFINE_enum(
    "launcher", "local", ["local", "slurm"], "Where to train: on this machine, or as a Slurm array."
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    None,
    "Runs at a time. Local: one for each GPU, or one; they share cores and GPUs. Slurm: all.",
    lower_bound=1,
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the command line of each run, no more.")
_STATUS = flags.DEFINE_bool("status", False, "Tell how far the runs are and what came out.")
_SORT = flags.DEFINE_enum(
    "sort", None, catalogue.names(), "The figure to rank by (config.evaluation.best)."
)
# For each run, of Slurm.
_TIME = flags.DEFINE_string(
    "time",
    "24:00:00",
    "Slurm: limit of one stay, 90 (minutes), 8:00:00 or 1-12 (days-hours); a run saves before it "
    "and is requeued.",
)
_SAVE_SECONDS = flags.DEFINE_integer(
    "save_seconds",
    300,
    "Slurm: so long before the limit a run is told to save; Slurm may be a minute early.",
    lower_bound=1,
)
_PARTITION = flags.DEFINE_string("partition", "", "Slurm: as sbatch has it (the default one).")
_GPUS = flags.DEFINE_integer("gpus", 0, "Slurm: of each run.", lower_bound=0)
_CPUS = flags.DEFINE_integer(
    "cpus_per_task", 0, "Slurm: cores of each run (Slurm's default).", lower_bound=0
)
_MEMORY = flags.DEFINE_float(
    "memory_gb", 0, "Slurm: GB of each run (Slurm's default).", lower_bound=0
)
_SBATCH = flags.DEFINE_multi_string(
    "sbatch", [], "Slurm: a further option of sbatch, --sbatch=--account=vision; may be repeated."
)
_SLURM_ONLY = (_TIME, _SAVE_SECONDS, _PARTITION, _GPUS, _CPUS, _MEMORY, _SBATCH)


def main(argv: list[str]) -> None:
    """Does what the flags say; exits with 1 if a run failed here."""
    # GPUs are for the runs: to plan them, JAX would take most of the memory of one.
    jax.config.update("jax_platforms", "cpu")
    try:
        with reported_in_one_line():
            _do_as_told(Path(flags.FLAGS.workdir))
    except Stopped:
        print("stopped; the same command goes on from there", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoints", file=sys.stderr)
        raise Stopped(signal.SIGINT) from None


def _do_as_told(folder: Path) -> None:
    given = flags.FLAGS["config"]
    common = config_flags.get_override_values(given)
    runs = plan_runs(config_flags.get_config_filename(given), common, folder)
    if _LAUNCHER.value == "local":
        for flag in _SLURM_ONLY:
            if flag.present:
                raise UserError(f"--{flag.name} is for --launcher=slurm")
    if _STATUS.value:
        show_status(runs, folder)
    elif _DRY_RUN.value:
        print("\n".join(shlex.join(run.command) for run in runs))
    else:
        launch(runs, folder)


def launch(runs: Sequence[Run], folder: Path) -> None:
    """Starts what is neither finished nor under way, and tells what came out if it ends here."""
    resources = _resources() if _LAUNCHER.value == "slurm" else None
    queued = slurm.queued_runs(folder)
    found = _progress(runs, queued)
    for run in runs:
        if has_checkpoint(run.workdir):
            check_config_unchanged(run.workdir, run.config.to_dict())
    missing = [
        run
        for run in runs
        if run.name not in queued and found[run.name].state not in ("done", "running")
    ]
    _tell_plan(found, missing)
    if not missing:
        show_status(runs, folder)
        return
    make_folder(folder)
    if resources:
        number = slurm.submit_array(missing, folder, _JOBS.value, resources)
        print(f"submitted: job {number}; --status tells how far it is")
        return
    failed = local.train_here(missing, _JOBS.value or local.default_jobs())
    show_status(runs, folder)
    if failed:
        raise UserError(f"{len(failed)} of {len(runs)} runs failed, see above and their log.txt")


def show_status(runs: Sequence[Run], folder: Path) -> None:
    """Prints how far the runs are; if there are figures, ranks them and writes the results."""
    found = _progress(runs, slurm.queued_runs(folder))
    print(_status_table(runs, found))
    vary = results.varying(runs)
    measured = []
    for run in runs:
        step, metrics = metrics_of(run)
        if metrics:
            setting = {name: value for name, value in vary[run.name].items() if name != "seed"}
            finished = found[run.name].state == "done"
            measured.append(results.Result(run, setting, step, finished, metrics))
    if not measured:
        print("no figures yet; runs have them with --config.evaluation.every=1000 or the like")
        return
    by = _SORT.value or runs[0].config.evaluation.best
    settings = results.ranked(measured, by)
    print(f"\n{results.results_table(settings, by)}")
    write_whole(folder / "results.csv", results.results_csv(settings, by, vary).encode())
    write_whole(folder / "results.png", results.results_png(settings, by))
    print(f"\n{folder / 'results.csv'}, {folder / 'results.png'}")


def _progress(runs: Sequence[Run], queued: dict[str, str]) -> dict[str, Progress]:
    return {run.name: progress_of(run, queued) for run in runs}


def _tell_plan(found: dict[str, Progress], missing: Sequence[Run]) -> None:
    done = sum(progress.state == "done" for progress in found.values())
    begun = sum(has_checkpoint(run.workdir) for run in missing)
    print(
        f"{len(found)} runs: {done} done, {len(found) - done - len(missing)} running or queued, "
        f"{begun} to go on with, {len(missing) - begun} to start"
    )


def _resources() -> slurm.Resources:
    limit = checked_limit(_TIME.value, _SAVE_SECONDS.value)
    return slurm.Resources(
        minutes=math.ceil(limit / 60),
        save_seconds=_SAVE_SECONDS.value,
        partition=_PARTITION.value,
        gpus=_GPUS.value,
        cpus_per_task=_CPUS.value,
        memory_gb=_MEMORY.value,
        options=tuple(_SBATCH.value),
    )


def _status_table(runs: Sequence[Run], found: dict[str, Progress]) -> str:
    rows = [("run", "state", "step", "left", "")]
    for run in runs:
        progress = found[run.name]
        left = progress.seconds_left
        rows.append(
            (
                run.name,
                progress.state,
                f"{progress.step}/{run.config.steps}",
                "" if left is None else tqdm.format_interval(left),
                progress.reason,
            )
        )
    return results.aligned(rows)
