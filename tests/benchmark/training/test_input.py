"""How long training waits for its data."""

import json
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from jaxstyle.benchmark.training.input import measure_input
from jaxstyle.benchmark.training.input.__main__ import main
from jaxstyle.config import default_config

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path):
    for domain in ("content", "style"):
        (tmp_path / domain).mkdir()
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 256, (48, 48, 3), np.uint8)
            cv2.imwrite(str(tmp_path / domain / f"{i}.png"), pixels)
    config = default_config()
    config.image_size, config.batch_size, config.devices = 32, 2, 1
    config.generator.size = "nano"
    config.discriminator.width, config.discriminator.layers = 4, 1
    config.losses.patch_nce.weight = 0.0
    config.data.content, config.data.style = str(tmp_path / "content"), str(tmp_path / "style")
    return config


class Device:
    """Computes steps one after another, each for 0.1 s, while the host goes on."""

    def __init__(self):
        self.free_at = 0.0

    def step(self, batch):
        self.free_at = max(self.free_at, time.perf_counter()) + 0.1
        return Later(self.free_at)


class Later:
    """Results that are there at that time."""

    def __init__(self, at):
        self.at = at

    def block_until_ready(self):
        time.sleep(max(0.0, self.at - time.perf_counter()))
        return self


@pytest.mark.parametrize(("loading", "waiting"), [(0.0, 0.0), (0.04, 0.0), (0.4, 0.75)])
def test_the_share_of_waiting_is_what_loading_takes_longer_than_computing(loading, waiting):
    def next_batch():
        time.sleep(loading)

    rate, share = measure_input.measure_training(Device().step, next_batch, 1.0, "a clock")
    assert share == pytest.approx(waiting, abs=0.15)
    assert rate < 1.01 / max(0.1, loading)


def test_a_recipe_is_measured_alone_and_together(config):
    metrics = measure_input.measure_input(config, 0.1)
    assert metrics.loader_frames_per_second > 0
    # A share of something that took place.
    assert 0 <= metrics.waiting < 1
    assert 0 < metrics.fed_steps_per_second < np.inf
    assert 0 < metrics.resident_steps_per_second < np.inf


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text("from jaxstyle.training.default_config import default_config as get_config\n")
    command = [sys.executable, "-m", "jaxstyle.benchmark.training.input", f"--config={recipe}"]
    run = subprocess.run(
        [*command, "--config.data.content=nowhere"], capture_output=True, text=True
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "nowhere" in line


# How ml_collections loads a recipe.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_the_command_leaves_its_figures(tmp_path, capsys, monkeypatch):
    recipe = tmp_path / "recipe.py"
    recipe.write_text("from jaxstyle.config import default_config as get_config\n")
    metrics = measure_input.InputMetrics(80.0, 5.0, 4.0, 0.125)
    module = "jaxstyle.commands.run_input_benchmark"
    monkeypatch.setattr(f"{module}.measure_input", lambda config, seconds: metrics)
    monkeypatch.setattr(f"{module}.keep_compiled_programs", lambda: None)
    options = [f"--config={recipe}", "--config.batch_size=2", f"--out={tmp_path / 'out'}"]
    assert main(options) == 0
    content = json.loads((tmp_path / "out" / "input.json").read_text())
    assert content["waiting"] == 0.125
    assert content["config"]["batch_size"] == 2
    assert content["command"][-3:] == options
    printed = capsys.readouterr().out
    assert "10.00 frames/s" in printed  # 5 steps of 2
    assert "12.50 % of that" in printed
