"""With workers that pretend: what is reported of them, and what of those that fail."""

import sys
from pathlib import Path

import pytest

import jaxstyle.benchmark.workers
from jaxstyle.benchmark.training.measure_steps import measure_step, ratio_to_best_peer
from jaxstyle.benchmark.training.recipes import recipe_config
from jaxstyle.benchmark.training.training_tables import notes, steps_table

WORKERS = Path(jaxstyle.benchmark.workers.__file__).parent

# A step takes some milliseconds; its loss is the second argument.
PRETENDER = """
import sys, time
sys.path.insert(0, {workers!r})
import numpy as np
from serve import Contestant, serve

def prepare(order, frames):
    assert frames.shape == (3, 2, 32, 32, 3)
    assert order["config"]["generator"]["name"] == order["recipe"]
    {prepare}
    facts = {{"version": "1", "parameters": 7, "flop": 4e9, "device": "cpu", "platform": "cpu"}}
    loss = float(sys.argv[2])
    return Contestant(
        lambda: time.sleep({seconds}), lambda _: np.array([loss, 1.0]), None, facts, lambda: 2**20
    )

serve(prepare)
"""


@pytest.fixture
def pretender(tmp_path):
    """The command of a worker."""

    def command(name, loss=2.0, seconds=0.002, prepare="pass"):
        script = tmp_path / f"{name}_worker.py"
        script.write_text(PRETENDER.format(workers=str(WORKERS), prepare=prepare, seconds=seconds))
        return [sys.executable, str(script), name, str(loss)]

    return command


@pytest.fixture
def measure(pretender, monkeypatch, tmp_path):
    """Measures with a pretender in the place of jaxstyle."""

    def run(peers, **own):
        monkeypatch.setattr(
            "jaxstyle.benchmark.training.measure_steps.own_command",
            lambda _: pretender("jaxstyle", **own),
        )
        config = recipe_config("realtime", image_size=32, batch_size=2)
        return measure_step("realtime", config, peers, 0.02, tmp_path)

    return run


def test_contestants_are_measured_and_compared(measure, pretender):
    peers = {"same": pretender("same", seconds=0.02), "other": pretender("other", loss=3.0)}
    entry = measure(peers)
    assert entry["gflop"] == 2.0  # of the 4 for two frames
    own, same, other = (entry["contestants"][name] for name in ("jaxstyle", "same", "other"))
    assert own["calls"] >= 3
    assert own["min_ms"] >= 2
    assert same["min_ms"] >= 20
    assert own["frames_per_second"] == pytest.approx(2e3 / own["median_ms"])
    # Sleep is no work.
    assert same["cpu_ms"] < same["median_ms"]
    assert (own["comparable"], same["comparable"], other["comparable"]) == (True, True, False)
    # One that computes something else is no peer, however fast.
    ratio = ratio_to_best_peer(entry["contestants"], "median_ms")
    assert ratio == own["median_ms"] / same["median_ms"]

    table = steps_table([entry])
    assert f"!{other['median_ms']:.0f}" in table
    assert f"{same['median_ms']:.0f}" in table
    ratio_line, difference_line = notes([entry])
    assert f"jaxstyle/best peer {ratio:.2f}" in ratio_line
    assert "other's first losses are [3.0, 1.0], not [2.0, 1.0]" in difference_line


def test_a_peer_that_fails_says_why_and_the_rest_is_measured(measure, pretender):
    failing = pretender("failing", prepare="raise RuntimeError('no CUDA\\nmore')")
    entry = measure({"failing": failing})
    assert entry["contestants"]["failing"] == {"failed": "no CUDA"}
    assert entry["contestants"]["jaxstyle"]["calls"] >= 3
    assert ratio_to_best_peer(entry["contestants"], "cpu_ms") is None
    assert notes([entry]) == ["realtime 32 px batch 2: failing failed: no CUDA"]
    assert "failed" in steps_table([entry])


def test_without_jaxstyle_there_is_nothing_to_compare_with(measure, pretender):
    entry = measure({"peer": pretender("peer")}, prepare="raise MemoryError('bad_alloc')")
    assert entry["contestants"] == {"jaxstyle": {"failed": "out of memory"}}
