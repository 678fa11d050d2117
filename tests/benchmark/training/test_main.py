import json
import signal

import jax
import pytest

from jaxstyle.benchmark.training.__main__ import main
from jaxstyle.benchmark.worker_processes import TRAINING_PEERS as PEERS


@pytest.fixture(autouse=True)
def the_process_stays_as_it_was():
    handler, platforms = signal.getsignal(signal.SIGTERM), jax.config.jax_platforms
    yield
    signal.signal(signal.SIGTERM, handler)
    jax.config.update("jax_platforms", platforms)


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(list(arguments))
    assert exit_info.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def contestant(median):
    return {
        "version": "1.2",
        "compile_seconds": 4.0,
        "peak_memory_mib": 321.0,
        "calls": 5,
        "median_ms": median,
        "min_ms": 0.9 * median,
        "p95_ms": 1.5 * median,
        "frames_per_second": 2e3 / median,
        "gflop_per_second": 9.0,
        "cpu_ms": 2 * median,
        "losses": [1.0, 2.0],
        "comparable": True,
    }


def test_a_run_leaves_its_figures_and_its_plot(tmp_path, capsys, monkeypatch):
    from PIL import Image

    def measure_step(name, config, commands, seconds, folder):
        # What a run that is stopped here leaves.
        if name == "animegan2":
            (earlier,) = json.loads((tmp_path / "training.json").read_text())["recipes"]
            assert earlier["recipe"] == "realtime"
        return {
            "recipe": name,
            "image_size": config.image_size,
            "batch": config.batch_size,
            "parameters": 7,
            "gflop": 1.0,
            "device": "cpu",
            "contestants": {"jaxstyle": contestant(543.0), "torch": contestant(800.0)},
        }

    monkeypatch.setattr("jaxstyle.commands.run_training_benchmark.measure_step", measure_step)
    assert main(["--image_size=64", "--batch_size=2", f"--out={tmp_path}"]) == 0
    content = json.loads((tmp_path / "training.json").read_text())
    assert [entry["recipe"] for entry in content["recipes"]] == ["realtime", "animegan2"]
    assert content["versions"]["torch"] == "1.2"
    printed = capsys.readouterr().out
    assert "realtime 64 px batch 2: jaxstyle/best peer 0.68, of CPU time 0.68" in printed
    assert "543" in printed
    with Image.open(tmp_path / "training.png") as plot:
        assert min(plot.size) > 300
        assert len(plot.convert("RGB").getcolors(1 << 24)) > 20


def test_a_missing_peer_is_told_before_anything_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(PEERS, "torch", (PEERS["torch"][0], ("no_such_package",)))
    line = refusal(capsys, "--peers=torch", f"--out={tmp_path}/out")
    assert "pip install no_such_package" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--models=resnet", "no recipe for 'resnet'; there are: realtime, animegan2"),
        ("--models=", "name a model, realtime or animegan2"),
        ("--image_size=60", "config.image_size is 60; it must be a multiple of 16"),
        ("--peers=theano", "no peer named 'theano'; there are: torch, torch-compile"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, argument, reason):
    assert reason in refusal(capsys, argument)
