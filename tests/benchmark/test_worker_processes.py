import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxstyle.benchmark.worker_processes import PEERS, ContestantFailed, Worker, peer_commands
from jaxstyle.errors import UserError


@pytest.fixture
def order(tmp_path):
    np.save(tmp_path / "frames.npy", np.zeros((1, 4, 4, 3), np.uint8))
    return {
        "do": "prepare",
        "frames": str(tmp_path / "frames.npy"),
        "output": str(tmp_path / "pretender"),
    }


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_stores_its_outputs_and_replies_with_the_time_of_each_call(
    pretender, order, tmp_path
):
    with Worker("pretender", pretender("pretender", 3.0), tmp_path / "log") as worker:
        assert worker.ask(**order)["parameters"] == 7
        reply = worker.ask(do="measure", kind="device", seconds=0.02, warm=True)
    assert np.load(tmp_path / "pretender.device.npy").mean() == 3.0
    assert np.load(tmp_path / "pretender.end_to_end.npy").dtype == np.uint8
    assert min(reply["seconds"]) >= 0.002
    assert sum(reply["seconds"]) >= 0.02
    assert sum(reply["seconds"][:-1]) < 0.02


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("raise RuntimeError('no such layer\\nand more')", "no such layer"),
        ("raise MemoryError", "out of memory"),
        ("raise RuntimeError('RESOURCE_EXHAUSTED: 9 GB')", "out of memory"),
        ("os.kill(os.getpid(), 9)", "out of memory (the system killed it)"),
        ("sys.stderr.write('bad\\nworse\\n'); sys.stderr.flush(); os._exit(3)", "worse"),
        ("os._exit(3)", "ended with status 3"),
    ],
)
def test_a_worker_that_fails_says_why_in_one_line(prepare, reason, pretender, order, tmp_path):
    command = pretender("pretender", prepare=prepare)
    with Worker("pretender", command, tmp_path / "log") as worker:
        with pytest.raises(ContestantFailed) as failure:
            worker.ask(**order)
        assert str(failure.value) == reason


def test_a_worker_ends_in_the_midst_of_its_work_when_its_parent_is_killed(
    pretender, order, tmp_path
):
    command = pretender("pretender")
    program = (
        "import sys, pathlib; from jaxstyle.benchmark.worker_processes import Worker\n"
        f"worker = Worker('pretender', {command!r}, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        f"worker.ask(**{order!r})\n"
        "worker.ask(do='measure', kind='device', seconds=60, warm=False)"
    )
    calls = tmp_path / "calls.log"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        wait_for(lambda: calls.exists() and len(calls.read_text().splitlines()) > 10)
        parent.kill()
    pid = int(calls.read_text().split()[2])
    wait_for(lambda: not is_alive(pid))


def test_closing_ends_a_worker_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.benchmark.worker_processes._SECONDS_TO_END", 0.1)
    deaf = [sys.executable, "-c", "import time; time.sleep(60)"]
    start = time.monotonic()
    Worker("deaf", deaf, tmp_path / "log").close()
    assert time.monotonic() - start < 30


def test_an_unknown_peer_is_told_with_the_known_ones():
    with pytest.raises(UserError, match=r"'pytorch'.*torch, torch-compile, onnxruntime"):
        peer_commands(["pytorch"], [sys.executable])


def test_a_missing_package_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(PEERS, "torch", ("torch_worker.py", ("no_such_thing",)))
    with pytest.raises(UserError, match="pip install no_such_thing") as error:
        peer_commands(["torch"], [sys.executable])
    assert sys.executable in str(error.value)
    assert "\n" not in str(error.value)


def test_an_interpreter_that_is_none_is_told():
    with pytest.raises(UserError, match="--peer_python=/no/python does not run: No such file"):
        peer_commands(["torch"], ["/no/python"])


def test_the_first_interpreter_that_has_a_peer_runs_it(tmp_path):
    without = tmp_path / "without"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    with_all = tmp_path / "with"
    with_all.write_text("#!/bin/sh\nexit 0\n")
    with_all.chmod(0o755)
    commands = peer_commands(["torch"], [str(without), str(with_all), sys.executable])
    assert commands["torch"][0] == str(with_all)


def test_ctrl_c_is_the_parents_to_handle(pretender, order, tmp_path):
    with Worker("pretender", pretender("pretender"), tmp_path / "log") as worker:
        worker.ask(**order)
        pid = int((tmp_path / "calls.log").read_text().split()[2])
        os.kill(pid, signal.SIGINT)
        assert worker.ask(do="measure", kind="device", seconds=0.01, warm=False)["seconds"]
