"""What a recipe is made of: its settings as text, a batch as a picture."""

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxstyle import show_config, show_data
from jaxstyle.commands.run_show_config import as_text

# How ml_collections loads a recipe.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

RECIPE = """
from jaxstyle.config import default_config

def get_config():
    config = default_config()
    config.batch_size, config.image_size = 3, 32
    config.data.content, config.data.style = "CONTENT", "STYLE"
    config.losses.patch_nce.weight = 2.5
    return config
"""
LEVELS = {"content": 40, "style": 200}


@pytest.fixture
def recipe(tmp_path):
    """A recipe on plain pictures: the content darker than the style."""
    text = RECIPE
    for domain, level in LEVELS.items():
        folder = tmp_path / domain
        folder.mkdir()
        for i in range(3):
            cv2.imwrite(str(folder / f"{i}.png"), np.full((48, 48, 3), level + i, np.uint8))
        text = text.replace(domain.upper(), str(folder))
    path = tmp_path / "recipe.py"
    path.write_text(text)
    return str(path)


def refusal(command, capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_the_config_is_shown_after_what_changes_it(recipe, capsys):
    assert show_config.main([recipe, "--config.steps=77", "--config.losses.warp.weight=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "batch_size = 3  # 8 by default" in lines
    assert any(line.startswith("steps = 77  # ") for line in lines)
    assert any(line.startswith("losses.patch_nce.weight = 2.5  # ") for line in lines)
    assert any(line.startswith("losses.warp.weight = 3.0") for line in lines)
    assert "seed = 0" in lines  # as it is by default


def test_the_names_are_those_of_the_command_line(recipe, capsys):
    show_config.main([recipe])
    settings = [
        line.split("  # ")[0].split(" = ", 1) for line in capsys.readouterr().out.splitlines()
    ]
    numbers = [f"--config.{name}={value}" for name, value in settings if value.isdecimal()]
    assert len(numbers) > 20
    assert show_config.main([recipe, *numbers]) == 0


def test_settings_that_training_refuses_are_not_shown(recipe, capsys):
    assert "nosuch" in refusal(show_config, capsys, recipe, "--config.data.nosuch=1")
    assert "image_size is 33" in refusal(show_config, capsys, recipe, "--config.image_size=33")
    assert "nowhere.py" in refusal(show_config, capsys, "nowhere.py")


def test_a_field_that_the_default_has_not_is_marked():
    text = as_text({"generator": {"name": "resnet", "blocks": 6}}, {"generator": {"name": "r"}})
    assert text.splitlines() == [
        "generator.name = 'resnet'  # 'r' by default",
        "generator.blocks = 6  # not in the default",
    ]


def test_a_batch_is_written_as_a_picture(recipe, tmp_path, capsys):
    out = tmp_path / "batch.png"
    assert show_data.main([recipe, f"--out={out}", "--config.batch_size=2"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[:3] for line in printed.splitlines() if "uint8" in line] == [
        ["content", "uint8", "2x32x32x3"],
        ["style", "uint8", "2x32x32x3"],
    ]
    assert "from the top: content, style" in printed
    with Image.open(out) as picture:
        pixels = np.asarray(picture)
    # Two rows and columns with a gap between them.
    assert pixels.shape == (68, 68, 3)
    assert (abs(pixels[:32, :32].astype(int) - LEVELS["content"]) <= 2).all()
    assert (abs(pixels[36:, 36:].astype(int) - LEVELS["style"]) <= 2).all()


def test_a_picture_that_is_there_stays(recipe, tmp_path, capsys):
    out = tmp_path / "batch.png"
    out.write_bytes(b"mine")
    assert "--overwrite" in refusal(show_data, capsys, recipe, f"--out={out}")
    assert out.read_bytes() == b"mine"
    assert ".png" in refusal(show_data, capsys, recipe, f"--out={tmp_path / 'batch.jpg'}")


def test_data_that_are_not_there_are_told(recipe, tmp_path, capsys):
    out = tmp_path / "batch.png"
    setting = "--config.data.content=nowhere"
    assert "nowhere" in refusal(show_data, capsys, recipe, f"--out={out}", setting)
    assert not out.exists()
