"""Workers that pretend, and results that were never measured."""

import sys
from pathlib import Path

import pytest

import jaxstyle.benchmark.workers

WORKERS = Path(jaxstyle.benchmark.workers.__file__).parent

# A call takes 2 ms and notes its beginning and its end; the output is its second argument.
PRETENDER = """
import os, sys, time
sys.path.insert(0, {workers!r})
import numpy as np
from serve import Contestant, serve

name, value, log = sys.argv[1], float(sys.argv[2]), sys.argv[3]

def prepare(order, frames):
    def note(what):
        with open(log, "a") as file:
            print(what, name, os.getpid(), file=file)

    def run():
        note("begin")
        time.sleep(0.002)
        note("end")
        return np.full(frames.shape, value, np.float32)

    facts = {{"version": "1", "parameters": 7, "flop": 4e9, "device": "cpu", "platform": "cpu"}}
    {prepare}
    print("noise on stdout")
    return Contestant(run, np.asarray, lambda: run().astype(np.uint8), facts, lambda: 2**20)

serve(prepare)
"""


@pytest.fixture
def pretender(tmp_path):
    """The command of a worker that calls itself `name` and, on "prepare", also does `prepare`."""

    def command(name: str, value: float = 0.0, prepare: str = "") -> list[str]:
        script = tmp_path / f"{name}_worker.py"
        script.write_text(PRETENDER.format(workers=str(WORKERS), prepare=prepare))
        return [sys.executable, str(script), name, str(value), str(tmp_path / "calls.log")]

    return command


def metrics(median):
    return {
        "calls": 9,
        "median_ms": median,
        "min_ms": 0.9 * median,
        "p95_ms": 1.5 * median,
        "frames_per_second": 1e3 / median,
        "gflop_per_second": 500 / median,
        "difference": 0.0,
        "comparable": True,
    }


def contestant(median):
    return {
        "version": "1.2",
        "compile_seconds": 0.75,
        "peak_memory_mib": 321.0,
        "device": metrics(median),
        "end_to_end": metrics(2 * median),
    }


@pytest.fixture
def make_cell():
    """Builds a cell of benchmark.json from milliseconds, or the reason of a failure, by name."""

    def build(model="tiny", width=64, height=32, **contestants):
        return {
            "model": model,
            "width": width,
            "height": height,
            "batch": 1,
            "dtype": "float32",
            "parameters": 45112,
            "gflop": 0.5,
            "device": "cpu",
            "contestants": {
                name: {"failed": value} if isinstance(value, str) else contestant(value)
                for name, value in contestants.items()
            },
        }

    return build
