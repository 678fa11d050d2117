import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxstyle.benchmark.__main__ import main
from jaxstyle.benchmark.worker_processes import PEERS

pytestmark = pytest.mark.slow

QUICK = ["--models=tiny", "--sizes=32x32", "--seconds=0.05"]


@pytest.fixture(autouse=True)
def the_process_stays_as_it_was():
    handler, platforms = signal.getsignal(signal.SIGTERM), jax.config.jax_platforms
    yield
    signal.signal(signal.SIGTERM, handler)
    jax.config.update("jax_platforms", platforms)


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_info:
        main([*QUICK, *arguments])
    assert exit_info.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_run_leaves_its_figures_and_a_second_one_compares_with_them(tmp_path, capsys):
    first = tmp_path / "first"
    assert main([*QUICK, f"--out={first}", "--no_plot"]) == 0
    assert [path.name for path in first.iterdir()] == ["benchmark.json"]
    content = json.loads((first / "benchmark.json").read_text())
    (cell,) = content["cells"]
    own = cell["contestants"]["jaxstyle"]
    assert cell["parameters"] == 45_112
    # 32x32 with its margin is 12x12 at a quarter of the resolution; the stem sees 48 channels.
    convolutions = 9 * (48 * 24 + 4 * 24 * 24 + 24 * 64)
    assert cell["gflop"] == pytest.approx(2e-9 * 12 * 12 * convolutions, rel=0.2)
    assert own["end_to_end"]["difference"] == 0
    printed = capsys.readouterr().out
    assert f"{own['device']['median_ms']:.2f}" in printed

    content["machine"]["cpu"] = "Z80"
    own["device"]["median_ms"] = 1e6
    (first / "benchmark.json").write_text(json.dumps(content))
    assert main([*QUICK, f"--compare={first / 'benchmark.json'}"]) == 0
    captured = capsys.readouterr()
    assert "1000000.00" in captured.out
    assert "cpu: Z80" in captured.err


def test_the_plot_is_written_and_shows_something(tmp_path):
    from PIL import Image

    assert main([*QUICK, f"--out={tmp_path}"]) == 0
    with Image.open(tmp_path / "benchmark.png") as plot:
        assert min(plot.size) > 500
        assert len(plot.convert("RGB").getcolors(1 << 24)) > 50


def test_a_size_off_the_stride_is_refused(capsys):
    assert "multiples of 4, not 30x32" in refusal(capsys, "--sizes=32x32,30x32")


def test_an_empty_list_is_refused(capsys):
    assert "nothing to measure" in refusal(capsys, "--sizes=")


def test_a_missing_peer_is_told_before_anything_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(PEERS, "torch", ("torch_worker.py", ("no_such_package",)))
    line = refusal(capsys, "--peers=torch", f"--out={tmp_path}/out")
    assert "pip install no_such_package" in line
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_to_compare_with_is_told(capsys, tmp_path):
    (tmp_path / "old.json").write_text("{")
    assert "old.json is not JSON" in refusal(capsys, f"--compare={tmp_path / 'old.json'}")


def test_a_folder_that_cannot_be_made_is_told(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    line = refusal(capsys, f"--out={tmp_path}/file/bench", "--no_plot")
    assert "cannot make the folder" in line


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's /proc"
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_its_cells_and_no_worker(number, status, tmp_path):
    results = tmp_path / "benchmark.json"
    # The second cell would take an hour.
    sizes = "--sizes=32x32,64x64"
    program = (
        "import sys; from jaxstyle.benchmark.__main__ import main\n"
        "from jaxstyle.commands import run_benchmark\n"
        "measure = run_benchmark.measure_cell\n"
        "def slow_second(cell, peers, seconds, folder):\n"
        "    return measure(cell, peers, seconds if cell.width == 32 else 3600, folder)\n"
        "run_benchmark.measure_cell = slow_second\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = [*QUICK, sizes, f"--out={tmp_path}", "--no_plot"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        wait_for(results.exists)
        wait_for(lambda: children(run.pid))
        workers = children(run.pid)
        run.send_signal(number)
        out, err = run.communicate(timeout=60)
    assert run.returncode == status
    # One that was only just starting notices when it comes to read its first order.
    wait_for(lambda: all(ended(worker) for worker in workers))
    assert len(json.loads(results.read_text())["cells"]) == 1
    assert "32x32" in out
    assert "Traceback" not in err
