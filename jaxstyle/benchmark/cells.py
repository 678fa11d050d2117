"""One cell of the benchmark: a model at a size, batch and dtype, all contestants in turns."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.benchmark.machine import cores
from jaxstyle.benchmark.measured_models import Model, write_onnx
from jaxstyle.benchmark.timings import TOLERANCE, difference, summary
from jaxstyle.benchmark.turns import Contestant, take_turns
from jaxstyle.benchmark.worker_processes import ONNX_PEERS, Worker, own_command

KINDS = ("device", "end_to_end")


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
    `timings.summary`, the "difference" of its output to jaxstyle's and whether that makes it
    "comparable". Where jaxstyle fails, its peers have nothing to be compared with and do not run.
    """
    order = _order(cell, folder)
    if not ONNX_PEERS.isdisjoint(peers):
        files = write_onnx(cell.model, cell.shape, folder)
        order["onnx"] = {name: str(file) for name, file in files.items()}
    with contextlib.ExitStack() as stack:
        own, *others = [
            Contestant(stack.enter_context(Worker(name, command, folder / f"{name}.log")), folder)
            for name, command in {"jaxstyle": own_command(), **peers}.items()
        ]
        own.prepare(order | {"platform": None})
        for other in others if own.failed is None else ():
            other.prepare(order | {"platform": own.facts["platform"]})
        contestants = [own, *others] if own.failed is None else [own]
        for kind in KINDS:
            take_turns(contestants, kind, seconds)
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
        "contestants": {c.name: _result(c, own, cell, gflop) for c in contestants},
    }


def _result(contestant: Contestant, own: Contestant, cell: Cell, gflop: float | None) -> dict:
    """The contestant's entry in the cell; `own` is jaxstyle's."""
    if contestant.failed is not None or gflop is None:
        return {"failed": contestant.failed}
    entry: dict[str, Any] = {
        "version": contestant.facts["version"],
        "compile_seconds": contestant.facts["compile_seconds"],
        "peak_memory_mib": contestant.peak_bytes / 2**20,
    }
    for kind in KINDS:
        apart = difference(contestant.first_output(kind), own.first_output(kind))
        entry[kind] = summary(contestant.times[kind], cell.batch, gflop) | {
            "difference": apart,
            "comparable": apart is not None and apart <= TOLERANCE[cell.dtype],
        }
    return entry


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
