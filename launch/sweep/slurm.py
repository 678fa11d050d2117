"""Runs of a sweep as one Slurm array, through submitit; each goes on where it was cut off."""

import dataclasses
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, write_whole
from launch.slurm import GPUS_ONLY, refusal_reason
from launch.sweep.process import TrainingProcess
from launch.sweep.runs import Run

_FOLDER, _JOBS = "slurm", "jobs.json"
# How often a run may come to its time limit.
_MOST_REQUEUES = 1000
_SLURM_TIMEOUT = 60  # seconds, for an answer

# As squeue has them; what is on its way out may still save.
_RUNNING_STATES = {"RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "STAGE_OUT", "STOPPED"}


@dataclasses.dataclass(frozen=True)
class Resources:
    """What each run asks of Slurm, on one node.

    minutes: the time limit of one stay; a run saves `save_seconds` before it ends, and is requeued.
    options: further ones of sbatch, such as "--account=vision". Zeros and empty texts leave the
    choice to Slurm.
    """

    minutes: int
    save_seconds: int
    partition: str = ""
    gpus: int = 0
    cpus_per_task: int = 0
    memory_gb: float = 0
    options: tuple[str, ...] = ()


class TrainingJob:
    """What submitit runs on a node: the training command, told to save before it is taken away.

    Slurm sends SIGUSR2 before the time limit, upon which submitit calls `checkpoint` and requeues
    the job; and SIGTERM where it requeues, preempts or cancels the job itself.
    """

    def __init__(self, command: Sequence[str], workdir: Path):
        self._command = tuple(command)
        self._workdir = workdir
        self._process: TrainingProcess | None = None

    def __call__(self) -> None:
        """Trains; ends the program with the command's exit status, unless that is 0."""
        process = TrainingProcess(self._command, self._workdir)
        self._process = process
        # Depending on how Slurm finds a job's processes, the training has it already.
        signal.signal(signal.SIGTERM, lambda *_: process.stop())
        status = process.wait()
        if status:
            sys.exit(status if status > 0 else 128 - status)

    def checkpoint(self) -> Any:
        """Has the run save; returns what submitit is to run after the requeue."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.stop()
            self._process.wait_in_signal_handler()
        return DelayedSubmission(TrainingJob(self._command, self._workdir))


def submit_array(runs: Sequence[Run], folder: Path, jobs: int | None, resources: Resources) -> str:
    """Submits the runs as one array, at most `jobs` of them at a time; returns its number.

    folder: of the sweep; what submitit needs goes into its subfolder slurm. Raises `UserError` if
    submitit is not installed, there is no Slurm here, or it refuses the job.
    """
    try:
        import submitit
        from submitit.core import utils
    except ImportError as error:
        raise UserError("--launcher=slurm needs submitit: pip install 'jaxstyle[slurm]'") from error
    _require_slurm()
    make_folder(folder / _FOLDER)
    executor = submitit.SlurmExecutor(
        folder=(folder / _FOLDER).absolute(),
        max_num_timeout=_MOST_REQUEUES,
        # The job's script becomes the Python that watches over the run: signals reach it without
        # srun, which kills on SIGTERM, and bash, which dies of it, in between.
        python=f"exec {shlex.quote(sys.executable)}",
    )
    executor.update_parameters(**_parameters(folder, jobs, resources))
    trainings = [TrainingJob(run.command, run.workdir) for run in runs]
    try:
        submitted = executor.submit_array(trainings)
    except (utils.FailedSubmissionError, utils.FailedJobError) as error:
        raise UserError(f"sbatch refuses the sweep: {refusal_reason(str(error))}") from error
    numbers = {run.name: job.job_id for run, job in zip(runs, submitted, strict=True)}
    write_whole(folder / _FOLDER / _JOBS, json.dumps(_numbers(folder) | numbers).encode())
    return submitted[0].job_id.partition("_")[0]


def queued_runs(folder: Path) -> dict[str, str]:
    """Returns "waiting" or "running" by the name of each run of the sweep that Slurm has now.

    Raises `UserError` if runs were submitted and Slurm does not answer.
    """
    numbers = _numbers(folder)
    if not numbers:
        return {}
    try:
        answer = subprocess.run(
            ["squeue", "--noheader", "--array", "--me", "--format=%i %T"],
            capture_output=True,
            text=True,
            timeout=_SLURM_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = refusal_reason(str(error))
        raise UserError(
            f"this sweep was submitted to Slurm, which does not answer here ({reason}); "
            f"if its jobs are gone, remove {folder / _FOLDER / _JOBS}"
        ) from error
    states = dict(line.split() for line in answer.stdout.splitlines())
    return {
        name: "running" if states[number] in _RUNNING_STATES else "waiting"
        for name, number in numbers.items()
        if number in states
    }


def _parameters(folder: Path, jobs: int | None, resources: Resources) -> dict:
    """What submitit's executor is told."""
    # Before the time limit to the script, which is Python by then.
    further = {"signal": f"B:USR2@{resources.save_seconds}", "requeue": True}
    for option in resources.options:
        name, equals, value = option.removeprefix("--").partition("=")
        further[name] = value if equals else True
    if resources.memory_gb:
        further["mem"] = f"{round(resources.memory_gb * 1024)}M"
    parameters = {
        "job_name": folder.absolute().name,
        "time": resources.minutes,
        "partition": resources.partition,
        "gpus_per_node": resources.gpus,
        "cpus_per_task": resources.cpus_per_task,
        "array_parallelism": jobs,
        "setup": GPUS_ONLY.splitlines() if resources.gpus else [],
    }
    given = {name: value for name, value in parameters.items() if value}
    return given | {"use_srun": False, "additional_parameters": further}


def _numbers(folder: Path) -> dict[str, str]:
    """The numbers of the jobs that runs were submitted as, by the names of the runs."""
    try:
        return json.loads((folder / _FOLDER / _JOBS).read_text())
    except (OSError, ValueError):
        return {}


def _require_slurm() -> None:
    if not shutil.which("sbatch") or not shutil.which("squeue"):
        raise UserError("there is no Slurm here (no sbatch); submit where it is, or launch locally")
