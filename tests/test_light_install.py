"""Without the extra `train`: stylizing works, the rest says in one line what it lacks."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

LACKING = """
import sys
for name in (
    *("optax", "orbax", "grain", "tensorflow_datasets", "array_record", "ml_collections"),
    *("scenedetect", "matplotlib", "importlib_resources", "onnx", "onnxruntime", "h5py"),
    *("pyvirtualcam", "tensorboardX", "submitit", "tensorflow"),
):
    sys.modules[name] = None
"""


def light(program: str, *arguments) -> subprocess.CompletedProcess:
    """Runs a program where only what the wheel alone brings can be imported."""
    command = [sys.executable, "-c", LACKING + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_what_the_light_commands_do_can_be_imported():
    names = ("stylize", "generate", "styles", "export", "convert", "benchmark", "doctor")
    imports = "".join(f"import jaxstyle.commands.run_{name}\n" for name in names)
    done = light(f"{imports}import jaxstyle.realtime.http, jaxstyle.guides.open_guide")
    assert done.returncode == 0, done.stderr


def test_evaluating_needs_matplotlib_and_no_more():
    done = light("del sys.modules['matplotlib']\nimport jaxstyle.commands.run_evaluate")
    assert done.returncode == 0, done.stderr


def test_a_photo_is_stylized(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    run = "from jaxstyle.__main__ import main; sys.exit(main())"
    out = tmp_path / "out.png"
    done = light(run, "stylize", tmp_path / "photo.png", out, "--model=cel")
    assert done.returncode == 0, done.stderr
    with Image.open(out) as picture:
        assert picture.size == (24, 16)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "--config=recipe.py", "--workdir=run"], "train"),
        (["prepare", "film.mp4", "--out=frames"], "train"),
        (["evaluate", "--content=scenes", "--out=report"], "train"),
        (["config", "show", "recipe.py"], "train"),
        (["data", "show", "recipe.py"], "train"),
        (["benchmark", "--out=bench"], "train"),
        (["benchmark", "training"], "train"),
        (["benchmark", "training", "input", "--config=recipe.py"], "train"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_command_lacks_is_told_in_one_line(arguments, extra, tmp_path, monkeypatch, capsys):
    from jaxstyle.__main__ import main

    monkeypatch.chdir(tmp_path)
    for name in ("matplotlib", "grain"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "matplotlib" in said
    assert f"pip install 'jaxstyle[{extra}]'" in said
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_exported_but_as_onnx(tmp_path):
    run = """
from jaxstyle.__main__ import main
assert main(["export", "cel", "cel.stablehlo", "--size=32x32", "--batch=1", "--platforms=cpu"]) == 0
main(["export", "cel", "cel.onnx", "--size=32x32", "--batch=1"])
"""
    done = subprocess.run(
        [sys.executable, "-c", LACKING + run], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert (tmp_path / "cel.stablehlo").is_file()
    assert "error: this needs onnx, onnxruntime" in done.stderr
    assert done.stderr.endswith("pip install 'jaxstyle[onnx]'\n")
    assert not (tmp_path / "cel.onnx").exists()


def test_a_data_set_of_tfds_is_refused_in_one_line(monkeypatch):
    from jaxstyle.data.sources import open_source
    from jaxstyle.errors import UserError

    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"pip install 'jaxstyle\[train\]'"):
        open_source("tfds:cifar10", size=32)


def test_a_sweep_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ml_collections", None)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("launch.sweep", run_name="__main__")
    assert end.value.code == 1
    assert "pip install 'jaxstyle[train]'" in capsys.readouterr().err
