"""What a model costs to run: its size, and the benchmark's figures of its speed."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jaxstyle.benchmark.cells import Cell, measure_cell
from jaxstyle.benchmark.measured_models import prepare_models
from jaxstyle.evaluation.contestants import Contestant

UNKNOWN = {"parameters": None, "gflop": None, "frames_per_second": None, "latency_ms": None}
_SECONDS = 3.0


def measure_costs(
    contestants: Sequence[Contestant], size: tuple[int, int]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Runs the benchmark on the models among the contestants.

    size: (width, height) of frames, rounded up to what a model takes.

    Returns:
      Their costs by name: "frames_per_second" and "latency_ms" are of the median call, one frame
      from uint8 to uint8; "gflop" is of a frame, by its size, such as {"640x360": 3.2}; what could
      not be measured is None. And why not, a line for each model of which that is so.
    """
    models = [contestant for contestant in contestants if contestant.bundle]
    files = list(dict.fromkeys(str(contestant.bundle) for contestant in models))
    cells, failures = {}, []
    with tempfile.TemporaryDirectory(prefix="jaxstyle_evaluate_") as folder:
        prepared = prepare_models([], files, Path(folder))
        for model in tqdm(prepared, desc="speed", unit="model", disable=None):
            width, height = (-(-length // model.stride) * model.stride for length in size)
            cell = Cell(model, width, height, 1, "float32")
            measured = measure_cell(cell, {}, _SECONDS, Path(folder))
            cells[str(model.bundle)] = measured
            if failed := measured["contestants"]["jaxstyle"].get("failed"):
                failures.append(f"the speed of {model.bundle} could not be measured: {failed}")
    costs = {contestant.name: _costs(cells[str(contestant.bundle)]) for contestant in models}
    return costs, failures


def _costs(cell: dict) -> dict[str, Any]:
    timed = cell["contestants"]["jaxstyle"].get("end_to_end", {})
    gflop = cell["gflop"]
    return {
        "parameters": cell["parameters"],
        "gflop": gflop and {f"{cell['width']}x{cell['height']}": gflop},
        "frames_per_second": timed.get("frames_per_second"),
        "latency_ms": timed.get("median_ms"),
    }
