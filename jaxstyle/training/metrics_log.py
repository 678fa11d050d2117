"""A training run's figures: `metrics.jsonl`, TensorBoard if asked for, and the watch for NaN."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole


class RecentMetrics:
    """The figures of the steps since they were last taken; they stay on the device until then."""

    def __init__(self):
        self._steps: list[tuple[int, Mapping[str, jax.Array]]] = []

    def add(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Adds a step's scalars, without waiting for them."""
        self._steps.append((step, metrics))

    def check_finite(self) -> None:
        """Raises `UserError` for the first NaN or infinity, with its step and its name."""
        self._steps = [(step, jax.device_get(metrics)) for step, metrics in self._steps]
        for step, metrics in self._steps:
            for name, value in metrics.items():
                if not math.isfinite(value):
                    raise UserError(
                        f"step {step}: {name} is {value}; training stopped, the last checkpoint is "
                        "from before. A lower learning rate or weight of that term may help"
                    )

    def take_means(self) -> tuple[int, dict[str, float]]:
        """Returns how many steps there were and each figure's mean over them, and forgets them.

        A figure that only some steps have is averaged over those. Raises as `check_finite` does.
        """
        self.check_finite()
        values: dict[str, list[float]] = {}
        for _, metrics in self._steps:
            for name, value in metrics.items():
                values.setdefault(name, []).append(float(value))
        count, self._steps = len(self._steps), []
        return count, {name: sum(several) / len(several) for name, several in values.items()}


class MetricsWriter:
    """Appends one JSON object a line, {"step": ..., name: number, ...}, to WORKDIR/metrics.jsonl.

    When a run goes on from `first_step`, lines of later steps, written by a run that was cut off,
    are dropped first, so that no step is there twice. With `active` off, in the processes but the
    first, nothing is written. Raises `UserError` if the file cannot be written.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        first_step: int,
        tensorboard: bool = False,
        active: bool = True,
    ):
        self._file = self._board = None
        if not active:
            return
        path = Path(workdir) / "metrics.jsonl"
        if tensorboard:
            self._board = _open_tensorboard(workdir, first_step)
        _drop_lines_after(path, first_step)
        try:
            self._file = path.open("a", buffering=1)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Writes the figures of a step; the line is in the file when this returns.

        Raises `UserError` if it cannot.
        """
        if self._file:
            try:
                self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            except OSError as error:
                raise UserError(f"cannot write {self._file.name}: {error.strerror}") from error
        if self._board:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            # It would try once more to write what it could not.
            with contextlib.suppress(OSError):
                self._file.close()
        if self._board:
            self._board.close()


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:
            break  # the last line of a run that was killed while it wrote
    write_whole(path, "".join(kept).encode())


def _open_tensorboard(workdir: str | os.PathLike, first_step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "config.tensorboard needs tensorboardX: pip install 'jaxstyle[tensorboard]'"
        ) from error
    return SummaryWriter(str(Path(workdir) / "tensorboard"), purge_step=first_step)
