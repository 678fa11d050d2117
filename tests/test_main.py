"""The command line, as a person uses it: what it says when it is wrong, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxstyle.errors import UserError
from jaxstyle.training.config_flag import read_config

# How ml_collections loads a recipe.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

RECIPE = """
from jaxstyle.config import default_config

def get_config():
    config = default_config()
    config.steps = 3
    config.batch_size = 4
    config.image_size = 32
    config.devices = 1
    config.generator.size = "tiny"
    config.discriminator.width = 8
    config.discriminator.layers = 1
    config.losses.patch_nce.weight = 0.0
    config.data.content = "scenes:photo?count=COUNT&size=SIZE"
    config.data.style = "scenes:cel?count=2&first_seed=50"
    config.data.cache_dir = "CACHE"
    EXTRA
    return config
"""

NO_RETURN = """
def get_config():
    pass
"""


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe; returns its path."""

    def write(extra: str = "pass", count: int = 2, size: int = 48) -> Path:
        text = RECIPE.replace("COUNT", str(count)).replace("SIZE", str(size))
        path = tmp_path / "recipe.py"
        path.write_text(text.replace("CACHE", str(tmp_path / "cache")).replace("EXTRA", extra))
        return path

    return write


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "jaxstyle.main", *map(str, arguments)]


def the_error(stderr: str) -> str:
    """The one line that there is."""
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    return stderr.removeprefix("error: ").strip()


def refusal(recipe, *settings) -> str:
    """The one line with which a recipe, or what is to be changed in it, is refused."""
    with pytest.raises(UserError) as raised:
        read_config(str(recipe), settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_unknown_setting_on_the_command_line(recipe):
    listed = "`jaxstyle config show RECIPE` lists them"
    assert refusal(recipe(), "--config.nosuch=1") == f"no setting nosuch; {listed}"
    assert refusal(recipe(), "--config.data.nosuch=1") == f"no setting data.nosuch; {listed}"
    assert refusal(recipe(), "--config.steps.x=1") == f"no setting steps.x; {listed}"
    assert refusal(recipe(), "--config.steps=2", "--config.losses.brightness.weight=1") == (
        f"no setting losses.brightness.weight; {listed}"
    )


def test_a_setting_that_is_near_is_named(recipe):
    assert ", did you mean steps?" in refusal(recipe(), "--config.stepz=1")
    message = refusal(recipe(), "--config.losses.patchnce.weight", "2")
    assert "no setting losses.patchnce.weight, did you mean losses.patch_nce?" in message


def test_an_unknown_setting_in_a_recipe(recipe):
    message = refusal(recipe("config.data.nosuch = 1"))
    assert 'Key "nosuch" does not exist' in message
    assert "crop_scale" not in message  # not the whole config


def test_a_value_of_the_wrong_type(recipe):
    assert "--config.steps=many" in refusal(recipe(), "--config.steps=many")
    message = refusal(recipe("config.steps = chr(65)"))
    assert "'steps'" in message
    assert "int" in message


def test_a_recipe_that_is_not_there(tmp_path):
    assert refusal(tmp_path / "nowhere.py").startswith(f"no recipe {tmp_path / 'nowhere.py'}")
    assert "nowhere.py" in refusal(tmp_path / "nowhere.py", "--config.steps=3")


@pytest.mark.parametrize(
    ("name", "text"), [("notes.md", "How it's done"), ("empty.py", ""), ("none.py", NO_RETURN)]
)
def test_a_file_that_is_no_recipe(name, text, tmp_path, monkeypatch):
    # ml_collections would run it on top of the recipe that it loaded last.
    monkeypatch.delitem(sys.modules, "config_config", raising=False)
    path = tmp_path / name
    path.write_text(text)
    assert refusal(path).startswith(f"{path} is no recipe: that is a Python file")


def test_a_recipe_that_is_no_python(recipe):
    assert "recipe.py, line" in refusal(recipe("config.steps = = 3"))


def test_what_is_no_setting(recipe):
    assert "'extra'" in refusal(recipe(), "extra")
    assert "nosuch" in refusal(recipe(), "--nosuch=1")


def test_settings_change_the_recipe(recipe):
    config = read_config(str(recipe()), ["--config.steps", "7", "--config.data.noise=0.5"])
    assert (config.steps, config.data.noise, config.batch_size) == (7, 0.5, 4)


@pytest.mark.slow
def test_mistakes_end_the_program_with_one_line(recipe, tmp_path):
    """Of the parser, and of training itself; nothing is written for them."""
    flags = [f"--config={recipe()}", f"--workdir={tmp_path / 'run'}"]
    lines = {
        "--workdir": command(flags[0]),
        "nosuch": command(*flags, "--config.nosuch=1"),
        "config.image_size is 33": command(*flags, "--config.image_size=33"),
    }
    running = {
        expected: subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        for expected, line in lines.items()
    }
    for expected, process in running.items():
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1
        assert expected in the_error(stderr)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_recipe_and_an_override_train(recipe, tmp_path):
    workdir = tmp_path / "run"
    done = subprocess.run(
        command(f"--config={recipe()}", f"--workdir={workdir}", "--config.steps=2"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr
    assert f"done: {workdir / 'model.safetensors'}" in done.stdout
    assert (workdir / "samples" / "0000002.png").exists()
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "status", "said"),
    [
        (signal.SIGINT, 130, "interrupted; the same command goes on from the last checkpoint\n"),
        (signal.SIGTERM, 143, ""),
    ],
    ids=["ctrl-c", "kill"],
)
def test_a_signal_before_the_first_step_ends_cleanly(recipe, tmp_path, signum, status, said):
    """While scenes are rendered, in child processes which a terminal's Ctrl-C reaches as well."""
    path = recipe(count=4000, size=256)  # most of a minute
    process = subprocess.Popen(
        command(f"--config={path}", f"--workdir={tmp_path / 'run'}"),
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group of its own, as a terminal gives
    )
    try:
        progress = b""
        while b"rendering" not in progress:
            progress += process.stderr.read1()
        os.killpg(process.pid, signal.SIGINT) if signum == signal.SIGINT else process.terminate()
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    text = (progress + rest).decode()
    assert process.returncode == status
    assert "Traceback" not in text
    assert text.endswith(said)
    assert list((tmp_path / "cache").iterdir()) == []
    assert not (tmp_path / "run").exists()
