import contextlib
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxstyle.benchmark.cells import KINDS, Cell, measure_cell
from jaxstyle.benchmark.measured_models import Model, prepare_models
from jaxstyle.benchmark.worker_processes import peer_commands
from jaxstyle.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def cell(tmp_path):
    """For workers that only pretend."""
    model = Model("some", {"name": "realtime"}, 4, tmp_path / "none", tmp_path / "none")
    return Cell(model, 16, 8, 2, "float32")


@pytest.fixture
def measure(pretender, monkeypatch, tmp_path):
    """Measures with a pretender in the place of jaxstyle."""

    def run(cell, peers, seconds=0.03, **own):
        monkeypatch.setattr(
            "jaxstyle.benchmark.cells.own_command", lambda: pretender("jaxstyle", **own)
        )
        return measure_cell(cell, peers, seconds, tmp_path)

    return run


def test_contestants_are_alive_together_and_called_in_turns(measure, pretender, cell, tmp_path):
    names = ["jaxstyle", "one", "two"]
    measure(cell, {name: pretender(name) for name in names[1:]})
    calls = [line.split() for line in (tmp_path / "calls.log").read_text().splitlines()]
    # One at a time: each call ends before another begins.
    assert all(
        (begin[0], end[0]) == ("begin", "end") and begin[1:] == end[1:]
        for begin, end in zip(calls[::2], calls[1::2], strict=True)
    )
    turns = [name for name, _ in itertools.groupby(name for _, name, _ in calls)]
    assert turns[:6] == names * 2
    assert len(turns) >= 3 * 4 * len(KINDS)
    assert len({pid for _, _, pid in calls}) == 3


def test_a_cell_has_the_figures_of_each_contestant(measure, pretender, cell):
    result = measure(cell, {"same": pretender("same"), "other": pretender("other", 5.0)})
    assert (result["width"], result["height"], result["batch"]) == (16, 8, 2)
    assert result["parameters"] == 7
    assert result["gflop"] == 2.0  # of the 4 for two frames
    own, same, other = (result["contestants"][name] for name in ("jaxstyle", "same", "other"))
    for kind in KINDS:
        assert own[kind]["calls"] >= 3
        assert own[kind]["min_ms"] >= 2
        assert own[kind]["frames_per_second"] == pytest.approx(2e3 / own[kind]["median_ms"])
        assert same[kind]["comparable"]
        assert not other[kind]["comparable"]
    assert other["device"]["difference"] == 5.0
    assert other["end_to_end"]["difference"] == pytest.approx(5 / 127.5)
    assert own["peak_memory_mib"] == 1.0


def test_a_peer_without_memory_does_not_stop_the_others(measure, pretender, cell):
    peers = {"big": pretender("big", prepare="raise MemoryError"), "one": pretender("one")}
    contestants = measure(cell, peers)["contestants"]
    assert contestants["big"] == {"failed": "out of memory"}
    assert contestants["one"]["device"]["calls"] >= 3


def test_without_jaxstyle_nothing_is_measured_and_nothing_breaks(measure, pretender, cell):
    result = measure(cell, {"one": pretender("one")}, prepare="raise MemoryError")
    assert result["contestants"] == {"jaxstyle": {"failed": "out of memory"}}
    assert result["gflop"] is None


def test_peers_keep_their_figures_when_jaxstyle_fails_later(measure, pretender, cell):
    # Three calls note their beginning and their end; the two of "prepare" are among them.
    dies = (
        "note = lambda what, old=note, n=iter('123456'): old(what) if next(n, 0) else os._exit(3)"
    )
    contestants = measure(cell, {"one": pretender("one")}, prepare=dies)["contestants"]
    assert contestants["jaxstyle"] == {"failed": "noise on stdout"}
    assert contestants["one"]["end_to_end"]["calls"] >= 3


@pytest.fixture
def installed_peers():
    """All that there are, here or in the interpreter that JAXSTYLE_PEER_PYTHON names."""
    interpreters = [os.environ.get("JAXSTYLE_PEER_PYTHON", sys.executable), sys.executable]
    commands = {}
    for peer in ("torch", "onnxruntime", "openvino"):
        with contextlib.suppress(UserError):
            commands |= peer_commands([peer], interpreters)
    if not commands:
        pytest.skip("no other runtime is installed; JAXSTYLE_PEER_PYTHON may name where")
    return commands


def processes_with_stderr(path):
    for stderr in Path("/proc").glob("[0-9]*/fd/2"):
        with contextlib.suppress(OSError):
            if os.readlink(stderr) == str(path):
                yield stderr


# How many parameters a call takes: of "microast" without those that encode a style.
CALLED = {"tiny": 45_112, "animegan2": 2_143_552, "microast": 311_635}


@pytest.mark.parametrize("model", CALLED)
def test_peers_compute_what_jaxstyle_computes(model, installed_peers, tmp_path):
    (network,) = prepare_models([model], [], tmp_path)
    result = measure_cell(Cell(network, 48, 32, 1, "float32"), installed_peers, 0.01, tmp_path)
    contestants = result["contestants"]
    own = contestants.pop("jaxstyle")
    assert contestants.keys() == installed_peers.keys()
    # How far a picture is from one colour, in which any two networks would agree.
    contrast = np.load(tmp_path / "jaxstyle.device.npy").std((0, 1, 2)).min()
    for name, other in contestants.items():
        # Also none that a runtime has started.
        assert not list(processes_with_stderr(tmp_path / f"{name}.log"))
        assert other["device"]["difference"] < 1e-3 * contrast
        # Rounding to uint8 may differ by a level.
        assert other["end_to_end"]["difference"] < 1.01 / 127.5
    assert result["parameters"] == CALLED[model]
    assert own["compile_seconds"] > 0
    assert own["peak_memory_mib"] > 50
