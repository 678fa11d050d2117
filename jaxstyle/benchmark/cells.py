"""One cell of the benchmark: a model at a size, batch and dtype, all contestants in turns."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxstyle.benchmark.contestants import ONNX_PEERS, ContestantFailed, Worker, own_command
from jaxstyle.benchmark.figures import TOLERANCE, difference, summary
from jaxstyle.benchmark.machine import cores
from jaxstyle.benchmark.models import Model, write_onnx

KINDS = ("device", "end_to_end")
_ROUNDS = 6
_MIN_CALLS = 3
# After this long, the threads of the contestant before have gone from spinning to sleep.
_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is measured. batch: frames a call. dtype: that of the computation, a key of `DTYPES`."""

    model: Model
    width: int
    height: int
    batch: int
    dtype: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the frames of a call, [N, H, W, 3]."""
        return self.batch, self.height, self.width, 3

    def __str__(self) -> str:
        return f"{self.model.name} {self.width}x{self.height} batch {self.batch} {self.dtype}"


def measure_cell(
    cell: Cell, peers: Mapping[str, Sequence[str]], seconds: float, folder: Path
) -> dict:
    """Measures jaxstyle and its peers; returns the cell of benchmark.json.

    peers: the command of each one's worker. seconds: of calls, for each contestant and each of
    `KINDS`; at least three calls in any case. folder: for files that the workers exchange.

    In "contestants", each has "failed": the reason in one line, or "compile_seconds" (from weights
    in memory to the first result), "peak_memory_mib" and, for each of `KINDS`, the figures of
    `figures.summary`, the "difference" of its output to jaxstyle's and whether that makes it
    "comparable". Where jaxstyle fails, its peers have nothing to be compared with and do not run.
    """
    order = _order(cell, folder)
    if not ONNX_PEERS.isdisjoint(peers):
        files = write_onnx(cell.model, cell.shape, folder)
        order["onnx"] = {name: str(file) for name, file in files.items()}
    with contextlib.ExitStack() as stack:
        own, *others = [
            _Contestant(stack.enter_context(Worker(name, command, folder / f"{name}.log")), folder)
            for name, command in {"jaxstyle": own_command(), **peers}.items()
        ]
        own.prepare(order | {"platform": None})
        for other in others if own.is_well else ():
            other.prepare(order | {"platform": own.facts["platform"]})
        contestants = [own, *others] if own.is_well else [own]
        for kind in KINDS:
            _take_turns(contestants, kind, seconds)
    gflop = own.facts["flop"] / 1e9 / cell.batch if own.facts else None
    return {
        "model": cell.model.name,
        "width": cell.width,
        "height": cell.height,
        "batch": cell.batch,
        "dtype": cell.dtype,
        "parameters": own.facts.get("parameters"),
        "gflop": gflop,
        "device": own.facts.get("device"),
        "contestants": {c.name: c.result(own, cell, gflop) for c in contestants},
    }


class _Contestant:
    """A worker and what it has told so far. Once it fails, it only says why."""

    def __init__(self, worker: Worker, folder: Path):
        self.name = worker.name
        self.facts: dict = {}
        self.times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self._worker = worker
        self._output = folder / worker.name
        self._failed: str | None = None
        self._peak_bytes = 0

    @property
    def is_well(self) -> bool:
        return self._failed is None

    def prepare(self, order: dict) -> None:
        self.facts = self._ask(do="prepare", output=str(self._output), **order)

    def take_turn(self, kind: str, seconds: float) -> None:
        """Makes calls for about `seconds`, one at least."""
        times = self.times[kind]
        # What a first call loses to cold caches does not show in a long one.
        warm = not times or times[-1] < seconds
        reply = self._ask(do="measure", kind=kind, seconds=seconds, warm=warm)
        times += reply.get("seconds", [])
        self._peak_bytes = reply.get("peak_bytes", 0)

    def result(self, own: "_Contestant", cell: Cell, gflop: float | None) -> dict:
        """Its entry in the cell; `own` is jaxstyle's."""
        if not self.is_well:
            return {"failed": self._failed}
        entry = {
            "version": self.facts["version"],
            "compile_seconds": self.facts["compile_seconds"],
            "peak_memory_mib": self._peak_bytes / 2**20,
        }
        for kind in KINDS:
            apart = difference(self._first_output(kind), own._first_output(kind))
            entry[kind] = summary(self.times[kind], cell.batch, gflop) | {
                "difference": apart,
                "comparable": apart is not None and apart <= TOLERANCE[cell.dtype],
            }
        return entry

    def _first_output(self, kind: str) -> np.ndarray:
        return np.load(f"{self._output}.{kind}.npy", allow_pickle=False)

    def _ask(self, **order) -> dict:
        try:
            return self._worker.ask(**order)
        except ContestantFailed as failure:
            self._failed = str(failure)
            return {}


def _order(cell: Cell, folder: Path) -> dict:
    """What all contestants of a cell are told; see `workers.serve`."""
    frames = folder / "frames.npy"
    np.save(frames, np.random.default_rng(0).integers(0, 256, cell.shape, np.uint8))
    return {
        "bundle": str(cell.model.bundle),
        "npz": str(cell.model.npz),
        "generator": cell.model.generator,
        "dtype": cell.dtype,
        "threads": cores(),
        "frames": str(frames),
    }


def _take_turns(contestants: Sequence[_Contestant], kind: str, seconds: float) -> None:
    """Goes around until each has measured its `seconds`, so that a noisy moment hits all alike."""

    def unfinished(c: _Contestant) -> bool:
        times = c.times[kind]
        return c.is_well and (len(times) < _MIN_CALLS or sum(times) < seconds)

    while waiting := [c for c in contestants if unfinished(c)]:
        for contestant in waiting:
            time.sleep(_PAUSE_SECONDS)
            contestant.take_turn(kind, seconds / _ROUNDS)
