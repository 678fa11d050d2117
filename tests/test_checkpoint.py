import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import sharding
from jaxstyle.checkpoint import Checkpoints, check_config_unchanged, write_config
from jaxstyle.errors import UserError

CONFIG = {
    "steps": 10,
    "log_every": 5,
    "data": {"content": "photos", "crop_scale": (0.5, 1.0), "workers": 0, "cache_dir": ""},
}


def state(step: int, mesh):
    rng = np.random.default_rng(step)
    tree = {
        "step": jnp.asarray(step, jnp.int32),
        "layer": {"kernel": jnp.asarray(rng.normal(size=(3, 5)), jnp.float32)},
        "empty": {},
        "key": jax.random.key(step),
    }
    return sharding.replicate(tree, mesh)


@pytest.mark.parametrize("device_count", [1, 4])
def test_a_checkpoint_gives_back_what_was_saved(tmp_path, device_count):
    mesh = sharding.make_mesh(device_count, 4)
    checkpoints = Checkpoints(tmp_path, keep=3)
    assert checkpoints.latest_step() is None
    checkpoints.save(2, state(2, mesh), {"next_batch": 2})
    checkpoints.close()

    reopened = Checkpoints(tmp_path, keep=3)
    assert reopened.latest_step() == 2
    restored, data = reopened.restore(2, state(0, mesh))
    reopened.close()
    assert data == {"next_batch": 2}
    saved = state(2, mesh)
    assert jax.tree.structure(restored) == jax.tree.structure(saved)
    assert restored["layer"]["kernel"].sharding == saved["layer"]["kernel"].sharding
    np.testing.assert_array_equal(restored["layer"]["kernel"], saved["layer"]["kernel"])
    assert int(restored["step"]) == 2
    assert jax.random.bits(restored["key"]) == jax.random.bits(saved["key"])


def test_a_run_of_one_device_goes_on_with_four(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    one, four = (sharding.make_mesh(count, 4) for count in (1, 4))
    checkpoints.save(2, state(2, one), {"next_batch": 2})
    restored, _ = checkpoints.restore(2, state(0, four))
    checkpoints.close()
    assert len(restored["layer"]["kernel"].sharding.device_set) == 4
    np.testing.assert_array_equal(
        restored["layer"]["kernel"], np.asarray(state(2, one)["layer"]["kernel"])
    )


def test_the_newest_few_are_kept(tmp_path):
    mesh = sharding.make_mesh(1, 1)
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        checkpoints.save(step, state(step, mesh), {"next_batch": step})
    checkpoints.close()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["3", "4"]


def test_a_save_may_be_followed_by_a_step_that_donates(tmp_path):
    """The write goes on in the background, while the step already computes into that memory."""
    mesh = sharding.make_mesh(1, 1)
    add = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    tree = {"x": jnp.zeros(1_000_000)}
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, sharding.replicate(tree, mesh), {})
    for _ in range(10):
        tree = add(tree)
    restored, _ = checkpoints.restore(1, tree)
    checkpoints.close()
    assert float(jnp.abs(restored["x"]).max()) == 0.0


def test_a_workdir_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*file.*--workdir"):
        Checkpoints(tmp_path / "file", keep=1)


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
    ],
)
def test_another_config_is_refused_and_the_difference_named(tmp_path, name, value, message):
    write_config(tmp_path, CONFIG)
    with pytest.raises(UserError, match=message):
        check_config_unchanged(tmp_path, changed(CONFIG, name, value))


@pytest.mark.parametrize(
    ("name", "value"), [("log_every", 1), ("data.workers", 4), ("data.cache_dir", "elsewhere")]
)
def test_what_does_not_alter_the_result_may_change(tmp_path, name, value):
    write_config(tmp_path, CONFIG)
    check_config_unchanged(tmp_path, changed(CONFIG, name, value))


def changed(config: dict, name: str, value) -> dict:
    first, _, rest = name.partition(".")
    return config | {first: changed(config.get(first, {}), rest, value) if rest else value}


def test_a_damaged_config_is_a_clear_error(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": ')
    with pytest.raises(UserError, match=r"cannot read .*config\.json"):
        check_config_unchanged(tmp_path, CONFIG)
