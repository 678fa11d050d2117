import json
import os

import pytest

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.training.saved_config import check_config_unchanged, write_config

CONFIG = {
    "steps": 10,
    "log_every": 5,
    "data": {"content": "photos", "crop_scale": (0.5, 1.0), "workers": 0, "cache_dir": ""},
}


def test_the_same_config_passes_and_is_written_as_json(tmp_path):
    write_config(tmp_path, CONFIG)
    check_config_unchanged(tmp_path, CONFIG)
    assert json.loads((tmp_path / "config.json").read_text())["data"]["crop_scale"] == [0.5, 1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 11, r"config\.steps=10, not 11"),
        ("data.content", "art", r"config\.data\.content=photos, not art"),
        ("data.crop_scale", (0.25, 1.0), r"config\.data\.crop_scale=\[0.5, 1.0\]"),
        ("data.new", 1, r"config\.data\.new=None, not 1"),
        # There was none when the run began: it had what is the default now.
        ("initial_steps", 2, r"config\.initial_steps=0, not 2"),
        ("losses.adversarial.weight", 3.0, r"config\.losses\.adversarial\.weight=1\.0, not 3\.0"),
    ],
)
def test_another_config_is_refused_and_the_difference_named(tmp_path, name, value, message):
    write_config(tmp_path, CONFIG)
    with pytest.raises(UserError, match=message):
        check_config_unchanged(tmp_path, changed(CONFIG, name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_every", 1),
        ("data.workers", 4),
        ("data.cache_dir", "elsewhere"),
        ("data.memory", 0),
    ],
)
def test_what_does_not_alter_the_result_may_change(tmp_path, name, value):
    write_config(tmp_path, CONFIG)
    check_config_unchanged(tmp_path, changed(CONFIG, name, value))


def test_a_run_from_before_a_setting_was_added_can_be_gone_on_with(tmp_path):
    now = default_config().to_dict()
    before = {name: value for name, value in now.items() if name not in ("seed", "growth")}
    write_config(tmp_path, before)
    check_config_unchanged(tmp_path, now)


def changed(config: dict, name: str, value) -> dict:
    first, _, rest = name.partition(".")
    return config | {first: changed(config.get(first, {}), rest, value) if rest else value}


@pytest.fixture
def copies(tmp_path):
    """Of the settings, beside the arrays of two checkpoints, the older of another run."""
    for step, config in ((9, changed(CONFIG, "steps", 11)), (10, CONFIG)):
        folder = tmp_path / "checkpoints" / str(step)
        folder.mkdir(parents=True)
        write_config(folder, config)
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("content", [None, b"", b'{"steps": ', b"\xff", b"[]"])
def test_for_a_lost_config_the_newest_copy_stands_in(copies, tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    said = []
    check_config_unchanged(tmp_path, CONFIG, said.append)
    [line] = said
    assert f"cannot read {tmp_path / 'config.json'} (" in line
    assert f"{copies / '10' / 'config.json'} stands in for it" in line
    with pytest.raises(UserError, match=r"config\.steps=10, not 11"):
        check_config_unchanged(tmp_path, changed(CONFIG, "steps", 11), said.append)
    # As the newest may be lost, too.
    os.truncate(copies / "10" / "config.json", 5)
    check_config_unchanged(tmp_path, changed(CONFIG, "steps", 11), said.append)


def test_without_any_copy_a_run_goes_on_and_says_what_it_cannot_tell(tmp_path):
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    said = []
    check_config_unchanged(tmp_path, CONFIG, said.append)
    [line] = said
    assert "no checkpoint has a copy: going on without comparing the settings" in line
