"""Runs of a sweep on this machine, a few at a time, each with its share of cores and GPUs."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from jaxstyle.interrupt import StopRequest
from launch.sweep.process import TrainingProcess, forget_exit_status
from launch.sweep.progress import progress_of
from launch.sweep.runs import Run

_POLL_SECONDS = 0.2
_SHOW_SECONDS = 2.0


def default_jobs() -> int:
    """How many runs at a time, unless told otherwise: one for each GPU, or one."""
    return max(1, len(_gpus()))


def train_here(runs: Sequence[Run], jobs: int) -> list[Run]:
    """Trains the runs, `jobs` at a time, with a progress bar; returns those that failed.

    On Ctrl-C, SIGTERM or SIGHUP every run that is under way saves first; then it raises `Stopped`.
    Raises `UserError` for a run that cannot be started.
    """
    waiting, failed = list(runs), []
    for run in runs:
        # One that failed earlier and waits for its turn is no longer a failure.
        forget_exit_status(run.workdir)
    active: dict[int, tuple[Run, TrainingProcess]] = {}
    shares = [share(slot, jobs) for slot in range(jobs)]
    with StopRequest() as stop, _StepsBar(runs) as bar, contextlib.ExitStack() as cleanup:
        # Only for what goes wrong here, a second Ctrl-C among it; otherwise all have ended by then.
        cleanup.callback(_kill_all, active)
        while active or (waiting and not stop.requested):
            if stop.requested:
                for _, process in active.values():
                    process.stop()
            for slot, (cores, environment) in enumerate(shares):
                if slot not in active and waiting and not stop.requested:
                    run = waiting.pop(0)
                    process = TrainingProcess(
                        run.command, run.workdir, cores=cores, environment=environment
                    )
                    active[slot] = run, process
            time.sleep(_POLL_SECONDS)
            for slot, (run, process) in list(active.items()):
                status = process.poll()
                if status is None:
                    continue
                del active[slot]
                if status and not stop.requested:
                    failed.append(run)
                    reason = progress_of(run, {}).reason
                    tqdm.write(f"{run.name} failed: {reason}", file=sys.stderr)
                bar.show([run], f"{len(waiting)} waiting, {len(failed)} failed", at_once=True)
            doing = "saving" if stop.requested else f"{len(waiting)} waiting"
            bar.show([run for run, _ in active.values()], f"{doing}, {len(failed)} failed")
    if stop.requested:
        raise stop.stopped()
    return failed


def _kill_all(active: Mapping[int, tuple[Run, TrainingProcess]]) -> None:
    for _, process in active.values():
        process.kill()


class _StepsBar:
    """A progress bar over the steps of all runs, by the lines in their metrics.jsonl."""

    def __init__(self, runs: Sequence[Run]):
        self._steps = {run.name: progress_of(run, {}).step for run in runs}
        self._shown = 0.0
        # In a log file every refresh is a line.
        seconds = 1.0 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(
            total=sum(run.config.steps for run in runs),
            initial=sum(self._steps.values()),
            unit="step",
            desc=f"{len(runs)} runs",
            mininterval=seconds,
            maxinterval=seconds,
            dynamic_ncols=True,
        )

    def show(self, changed: Sequence[Run], note: str, at_once: bool = False) -> None:
        """Looks how far these runs are, unless it did a moment ago."""
        if time.monotonic() - self._shown < _SHOW_SECONDS and not at_once:
            return
        self._shown = time.monotonic()
        self._steps |= {run.name: progress_of(run, {}).step for run in changed}
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(sum(self._steps.values()) - self._bar.n)

    def __enter__(self) -> "_StepsBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def share(slot: int, jobs: int) -> tuple[list[int] | None, dict[str, str]]:
    """Returns (cores, environment variables) of the runs in slot 0 ... jobs - 1.

    All runs at a time have as many cores and GPUs each, their own where there are enough. cores:
    None where the system does not bind processes to any.
    """
    variables = {}
    gpus = _gpus()
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[slot::jobs] or [gpus[slot % len(gpus)]])
        if jobs > len(gpus):
            # JAX would take three quarters of a GPU's memory for the first run there.
            variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if not hasattr(os, "sched_getaffinity"):
        return None, variables
    cores = sorted(os.sched_getaffinity(0))
    if jobs > len(cores):
        return [cores[slot % len(cores)]], variables
    # Neighbours, as they share caches.
    return cores[slot * len(cores) // jobs : (slot + 1) * len(cores) // jobs], variables


def _gpus() -> list[str]:
    """The numbers of NVIDIA's GPUs that may be used; JAX is not asked, as it would take them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu]
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
    )
    return answer.stdout.split() if answer.returncode == 0 else []
