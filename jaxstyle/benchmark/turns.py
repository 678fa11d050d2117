"""Contestants take turns: a noisy moment of the machine then hits all of them alike."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.benchmark.worker_processes import ContestantFailed, Worker

_ROUNDS = 6
_MIN_CALLS = 3
# After this long, the threads of the contestant before have gone from spinning to sleep.
_PAUSE_SECONDS = 0.05


class Contestant:
    """A worker and what it has told so far. Once it fails, it only says why.

    name: of the worker. facts: its reply to "prepare". times, cpu_times: seconds of its calls so
    far, of the clock and of all cores together, by kind of call. failed: why it cannot go on, one
    line, or None. peak_bytes: the most memory that it has held. folder: for what it computes.
    """

    def __init__(self, worker: Worker, folder: Path):
        self.name = worker.name
        self.facts: dict = {}
        self.times: dict[str, list[float]] = {}
        self.cpu_times: dict[str, list[float]] = {}
        self.failed: str | None = None
        self.peak_bytes = 0
        self._worker = worker
        self._output = folder / worker.name

    def prepare(self, order: dict) -> None:
        """Has it build what it is to run; see `workers.serve`."""
        self.facts = self._ask(do="prepare", output=str(self._output), **order)

    def take_turn(self, kind: str, seconds: float) -> None:
        """Makes calls for about `seconds`, one at least."""
        times = self.times.setdefault(kind, [])
        # What a first call loses to cold caches does not show in a long one.
        warm = not times or times[-1] < seconds
        reply = self._ask(do="measure", kind=kind, seconds=seconds, warm=warm)
        times += reply.get("seconds", [])
        self.cpu_times.setdefault(kind, []).extend(reply.get("cpu_seconds", []))
        self.peak_bytes = reply.get("peak_bytes", 0)

    def first_output(self, kind: str) -> np.ndarray:
        """What it computed when it was prepared."""
        return np.load(f"{self._output}.{kind}.npy", allow_pickle=False)

    def _ask(self, **order: Any) -> dict:
        try:
            return self._worker.ask(**order)
        except ContestantFailed as failure:
            self.failed = str(failure)
            return {}


def take_turns(contestants: Sequence[Contestant], kind: str, seconds: float) -> None:
    """Goes around until each has measured its `seconds`, and three calls at least."""

    def unfinished(c: Contestant) -> bool:
        times = c.times.get(kind, [])
        return c.failed is None and (len(times) < _MIN_CALLS or sum(times) < seconds)

    while waiting := [c for c in contestants if unfinished(c)]:
        for contestant in waiting:
            time.sleep(_PAUSE_SECONDS)
            contestant.take_turn(kind, seconds / _ROUNDS)
