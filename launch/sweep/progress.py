"""Where the runs of a sweep stand, read from their folders: finished, half done, failed."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from jaxstyle.training.checkpoint import saved_steps
from launch.sweep.process import LOG, STOPPED_STATUSES, exit_status, is_locked
from launch.sweep.runs import Run

_METRICS, _EVALUATION = "metrics.jsonl", "evaluation/"
# Enough for the last line of a log and of the metrics.
_TAIL_BYTES = 16_384


@dataclasses.dataclass(frozen=True)
class Progress:
    """state: waiting, running, done, failed or stopped. step: of the newest line of metrics.jsonl
    while it runs, otherwise of the checkpoint that it would go on from. seconds_left: if it runs
    and its pace is known. reason: the last line of its log, if it failed.
    """

    state: str
    step: int
    seconds_left: float | None = None
    reason: str = ""


def progress_of(run: Run, queued: Mapping[str, str]) -> Progress:
    """Returns where a run stands.

    queued: "waiting" or "running" by the name of each run that Slurm has now.
    """
    if is_finished(run):
        return Progress("done", run.config.steps)
    if queued.get(run.name) == "running" or is_locked(run.workdir):
        last: Mapping[str, Any] = next(reversed(_metrics(_tail(run.workdir / _METRICS))), {})
        step = last.get("step", 0)
        pace = last.get("frames_per_second", 0) / run.config.batch_size
        left = (run.config.steps - step) / pace if pace else None
        return Progress("running", step, left)
    step = max(saved_steps(run.workdir), default=0)
    if run.name in queued:
        return Progress("waiting", step)
    status = exit_status(run.workdir)
    if status is None:
        # Whoever watched over it is gone as well: a machine that went down, or SIGKILL.
        return Progress("stopped" if (run.workdir / LOG).exists() else "waiting", step)
    if status in STOPPED_STATUSES:
        return Progress("stopped", step)
    reason = _last_line(_tail(run.workdir / LOG))
    if status < 0:
        reason = f"killed by signal {-status}; {reason}"
    return Progress("failed", step, reason=reason)


def is_finished(run: Run) -> bool:
    """Whether its model is that of the last step and, where it is evaluated, has its figures."""
    metadata = _model_metadata(run.workdir)
    evaluated = bool(metadata.get("figures")) or not run.config.evaluation.every
    return metadata.get("step") == run.config.steps and evaluated


def metrics_of(run: Run) -> tuple[int, dict[str, float]]:
    """Returns (step, the figures of that step's evaluation by their name in the catalogue).

    Of the finished model or else the newest in metrics.jsonl; (0, {}) where there are none.
    """
    metadata = _model_metadata(run.workdir)
    if metadata.get("figures"):
        return metadata["step"], metadata["figures"]
    path = run.workdir / _METRICS
    for line in reversed(_metrics(path.read_text()) if path.exists() else []):
        metrics = {
            name.removeprefix(_EVALUATION): value
            for name, value in line.items()
            if name.startswith(_EVALUATION)
        }
        if metrics:
            return line["step"], metrics
    return 0, {}


def _model_metadata(workdir: Path) -> dict[str, Any]:
    """The metadata of its bundle, without the tensors; empty without one."""
    try:
        with safe_open(workdir / "model.safetensors", framework="numpy") as file:
            return json.loads((file.metadata() or {}).get("jaxstyle", "{}"))
    except (OSError, SafetensorError, ValueError):
        return {}


def _metrics(text: str) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; one that is being written, or cut in two, is left out."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _tail(path: Path) -> str:
    """The last few thousand characters of a file; empty without one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _last_line(log: str) -> str:
    # A progress bar goes back to the beginning of its line.
    lines = [line.strip() for line in log.replace("\r", "\n").splitlines()]
    return next((line for line in reversed(lines) if line), "")
