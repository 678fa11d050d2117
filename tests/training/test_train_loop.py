import functools
import json
import os
import shutil
import signal
import subprocess
import sys

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.interrupt import Stopped
from jaxstyle.training import sharding, steps
from jaxstyle.training.checkpoint import Checkpoints
from jaxstyle.training.metrics_log import MetricsWriter
from jaxstyle.training.networks import build_networks
from jaxstyle.training.saved_config import write_config
from jaxstyle.training.train_loop import train

pytestmark = pytest.mark.slow

STEPS = 6


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folders of bright photos and of dark paintings, which differ in size."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, top in (("photos", 256), ("paintings", 128)):
        (folder / name).mkdir()
        for i in range(7):
            image = rng.integers(0, top, (48 + i, 64, 3), np.uint8)
            cv2.imwrite(str(folder / name / f"{i}.png"), image)
    return folder


@pytest.fixture(scope="module")
def config(images) -> ConfigDict:
    config = default_config()
    config.update_from_flattened_dict(
        {
            "name": "dark",
            "steps": STEPS,
            "batch_size": 4,
            "image_size": 32,
            "devices": 1,  # where resuming is exact
            "generator.size": "tiny",
            "discriminator.width": 8,
            "discriminator.layers": 1,
            "discriminator.norm": "instance",
            "discriminator.spectral_norm": True,
            "data.content": str(images / "photos"),
            "data.style": str(images / "paintings"),
            "losses.patch_nce.layers": (1, 2),
            "losses.patch_nce.patches": 8,
            "losses.patch_nce.width": 8,
            "ema_decay": 0.5,
            "log_every": 1,
            "sample_every": 4,
            "checkpoint_every": 4,
        }
    )
    return config.lock()


def altered(config: ConfigDict, **changes) -> ConfigDict:
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(config, workdir)
    return workdir


def metrics(workdir) -> list[dict]:
    """The figures of each step, without the speed."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "frames_per_second"} for line in lines]


@pytest.fixture(scope="module")
def last_state(config):
    """Reads the arrays of a run's last checkpoint; the PRNG key as the numbers it is made of."""
    frozen = FrozenConfigDict(config)
    init = functools.partial(steps.init_state, build_networks(frozen), frozen)
    blank = sharding.replicate(jax.jit(init)(jax.random.key(0)), sharding.make_mesh(1, 4))

    def read(workdir) -> steps.TrainState:
        checkpoints = Checkpoints(workdir, keep=3)
        state = checkpoints.restore(blank).state
        checkpoints.close()
        return state.replace(key=jax.random.key_data(state.key))

    return read


@pytest.fixture(scope="module")
def assert_same_run(last_state):
    """Bit for bit: parameters, optimizers, averages, and every figure on the way."""

    def check(actual, expected):
        jax.tree.map(np.testing.assert_array_equal, last_state(actual), last_state(expected))
        models = [load_bundle(w / "model.safetensors").parameters for w in (actual, expected)]
        jax.tree.map(np.testing.assert_array_equal, *models)
        assert metrics(actual) == metrics(expected)

    return check


def signal_at(step: int, signum: int, monkeypatch) -> None:
    """Sends the signal to this process when the figures of that step are written."""
    write = MetricsWriter.write

    def write_and_kill(self, now, metrics):
        write(self, now, metrics)
        if now == step:
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(MetricsWriter, "write", write_and_kill)


# ---- What a run leaves ---------------------------------------------------------------------------


def test_a_run_leaves_its_files(uninterrupted, config):
    found = {str(p.relative_to(uninterrupted)) for p in uninterrupted.glob("*")}
    assert found == {"checkpoints", "config.json", "metrics.jsonl", "model.safetensors", "samples"}
    assert sorted(p.name for p in (uninterrupted / "samples").iterdir()) == [
        "0000004.png",
        "0000006.png",
    ]
    assert sorted(p.name for p in (uninterrupted / "checkpoints").iterdir()) == ["4", "6"]
    written = json.loads((uninterrupted / "config.json").read_text())
    assert written == json.loads(json.dumps(config.to_dict()))


def test_figures_are_logged_and_finite(uninterrupted):
    lines = metrics(uninterrupted)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    names = {"step", "g/adversarial", "g/patch_nce", "g/total", "g/gradient_norm"}
    names |= {"d/real", "d/fake", "d/total", "d/gradient_norm"}
    for line in lines:
        assert set(line) == names
        assert np.isfinite(list(line.values())).all()
    assert len({line["d/total"] for line in lines}) == 6


def test_the_model_is_the_average_of_the_run(uninterrupted, config, last_state):
    bundle = load_bundle(uninterrupted / "model.safetensors")
    state = last_state(uninterrupted)
    jax.tree.map(np.testing.assert_array_equal, bundle.parameters, state.ema)
    assert (state.ema["head"]["bias"] != state.generator["head"]["bias"]).any()
    assert bundle.metadata["name"] == "dark"
    assert bundle.metadata["step"] == STEPS
    assert bundle.metadata["generator"] == config.generator.to_dict()


def test_a_sample_shows_input_output_and_style(uninterrupted, config, images):
    sheet = cv2.imread(str(uninterrupted / "samples" / "0000006.png"))
    side, gap = 256, 4
    assert sheet.shape == (4 * side + 3 * gap, 3 * side + 2 * gap, 3)
    content, output, style = (sheet[:, i * (side + gap) :][:, :side] for i in range(3))
    assert content[:side].mean() > 1.5 * style[:side].mean()  # photos are brighter
    # Six steps away from the identity.
    difference = np.abs(output[:side].astype(int) - content[:side])
    assert 0 < difference.mean() < 30
    first = cv2.imread(str(images / "photos" / "0.png"))
    assert abs(content[:side].mean() - first.mean()) < 5


# ---- Going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_goes_on_bit_for_bit(
    config, uninterrupted, assert_same_run, tmp_path, monkeypatch, signum, status
):
    with monkeypatch.context() as patch:
        signal_at(2, signum, patch)
        with pytest.raises(Stopped) as stopped:
            train(config, tmp_path)
    assert stopped.value.code == status
    # The step that was under way is still made, and saved although no checkpoint was due.
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["3"]
    assert load_bundle(tmp_path / "model.safetensors").metadata["step"] == 3
    train(config, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


KILLED_AT_STEP_5 = """
import json, os, signal, sys
from ml_collections import ConfigDict
from jaxstyle.training.metrics_log import MetricsWriter
from jaxstyle.training.train_loop import train
write = MetricsWriter.write
def write_and_die(self, step, figures):
    write(self, step, figures)
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
MetricsWriter.write = write_and_die
def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value
def config(tree):
    return ConfigDict({k: config(v) if isinstance(v, dict) else tuples(v) for k, v in tree.items()})
train(config(json.loads(sys.argv[1])), sys.argv[2])
"""


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    config, uninterrupted, assert_same_run, tmp_path
):
    # How often it saves may differ: it decides what is lost, not what comes out.
    often = altered(config, checkpoint_every=2)
    arguments = [json.dumps(often.to_dict()), str(tmp_path)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_STEP_5, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert metrics(tmp_path)[-1]["step"] == 5
    os.truncate(tmp_path / "config.json", 0)  # a copy is in the checkpoint
    train(config, tmp_path)
    assert_same_run(tmp_path, uninterrupted)
    written, expected = (
        json.loads((w / "config.json").read_bytes()) for w in (tmp_path, uninterrupted)
    )
    assert written == expected


def test_a_finished_run_has_nothing_left_to_train(uninterrupted, config, capfd):
    before = metrics(uninterrupted)
    model = load_bundle(uninterrupted / "model.safetensors")
    # As if the run had been killed between its last checkpoint and its last model.
    zeros = jax.tree.map(jnp.zeros_like, model.parameters)
    save_bundle(
        uninterrupted / "model.safetensors", zeros, {"generator": model.metadata["generator"]}
    )
    train(config, uninterrupted)
    assert metrics(uninterrupted) == before
    again = load_bundle(uninterrupted / "model.safetensors")
    jax.tree.map(np.testing.assert_array_equal, again.parameters, model.parameters)
    assert again.metadata == model.metadata
    assert "going on from step 6" in capfd.readouterr().out


def snapshot(workdir) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in workdir.rglob("*") if p.is_file()}


def test_another_config_is_refused_and_changes_nothing(uninterrupted, config):
    before = snapshot(uninterrupted)
    with pytest.raises(UserError, match=r"config\.losses\.adversarial\.weight=1\.0, not 2\.0"):
        train(altered(config, **{"losses.adversarial.weight": 2.0}), uninterrupted)
    assert snapshot(uninterrupted) == before


def test_more_devices_may_take_over(uninterrupted, config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(2, signal.SIGTERM, patch)
        with pytest.raises(Stopped):
            train(config, tmp_path)
    train(altered(config, devices=4, sample_every=100), tmp_path)
    found, wanted = metrics(tmp_path), metrics(uninterrupted)
    assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6]
    for name in ("g/total", "d/total"):
        np.testing.assert_allclose(found[-1][name], wanted[-1][name], rtol=1e-3)


def test_a_second_ctrl_c_interrupts_the_saving(config, tmp_path, monkeypatch):
    signal_at(2, signal.SIGINT, monkeypatch)
    save = Checkpoints.save

    def save_for_ever(self, *args):
        os.kill(os.getpid(), signal.SIGINT)
        save(self, *args)

    monkeypatch.setattr(Checkpoints, "save", save_for_ever)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    assert not list((tmp_path / "checkpoints").iterdir())
    assert not (tmp_path / "model.safetensors").exists()


# ---- When it cannot go on ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diverging(config) -> ConfigDict:
    """The learning rate jumps to 5e29 in the fourth step, so the fifth has something to see."""
    return altered(
        config,
        **{
            "optimizer.generator.learning_rate": 1e30,
            "optimizer.generator.schedule": ((0.0, 0.0), (0.4, 0.0), (0.6, 1.0), (1.0, 1.0)),
            "checkpoint_every": 100,
        },
    )


def test_a_run_that_diverges_stops_and_keeps_nothing_broken(config, diverging, tmp_path):
    with pytest.raises(UserError, match=r"^step 5: [gd]/\w+ is (nan|inf)"):
        train(diverging, tmp_path)
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3, 4]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert not (tmp_path / "model.safetensors").exists()
    # What the message advises works in the same workdir: there is nothing to go on from.
    train(config, tmp_path)
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_what_was_saved_before_it_diverged_stays(diverging, tmp_path, last_state):
    with pytest.raises(UserError, match=r"^step 5: "):
        train(altered(diverging, checkpoint_every=3), tmp_path)
    model = load_bundle(tmp_path / "model.safetensors")
    assert model.metadata["step"] == 3
    for leaf in jax.tree.leaves((last_state(tmp_path), model.parameters)):
        assert np.isfinite(leaf).all()


def test_data_that_are_not_there_leave_no_workdir(config, tmp_path):
    missing = altered(config, **{"data.style": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"nowhere: no such source"):
        train(missing, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_devices_cannot_share_is_refused(config, tmp_path):
    with pytest.raises(UserError, match=r"config\.batch_size=3 is not a multiple of the 2"):
        train(altered(config, devices=2, batch_size=3), tmp_path / "run")
    with pytest.raises(UserError, match=r"config\.devices is 5, but there are 4"):
        train(altered(config, devices=5, batch_size=5), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ---- The embedded data, and the comparison at the end --------------------------------------------


def test_the_embedded_scenes_train_and_are_compared_with_the_truth(config, tmp_path, capfd):
    scenes = altered(
        config,
        **{
            "data.content": "scenes:photo?count=4",
            "data.style": "scenes:cel?count=4&first_seed=100",
            "data.cache_dir": str(tmp_path / "cache"),
            "evaluation.every": 4,
            "evaluation.count": 2,
            "evaluation.size": 64,
        },
    )
    train(scenes, tmp_path / "run")
    written = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    measured = {line["step"]: line for line in lines if "evaluation/swd" in line}
    assert list(measured) == [4, 6]
    assert len({line["step"] for line in lines}) == len(lines)
    metrics = load_bundle(tmp_path / "run" / "model.safetensors").metadata["figures"]
    assert metrics["truth_ssim"] == measured[6]["evaluation/truth_ssim"]
    assert np.isfinite(list(metrics.values())).all()
    assert f"{metrics['truth_ssim']:.3g}  (unstylized" in capfd.readouterr().out
    best = load_bundle(tmp_path / "run" / "best.safetensors").metadata
    assert best["step"] == min(measured, key=lambda step: measured[step]["evaluation/swd"])
    assert best["figures"]["swd"] == measured[best["step"]]["evaluation/swd"]
    assert (tmp_path / "run" / "samples" / "evaluation.png").exists()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_a_trained_generator_is_trained_on_against_views_by_pretrained_features(
    config, uninterrupted, tmp_path
):
    config = altered(
        config,
        **{
            "steps": 2,
            "start": str(uninterrupted / "model.safetensors"),
            "losses.patch_nce.weight": 0.0,
            "losses.anchor.weight": 6.0,
            "losses.flat.weight": 0.3,
            "losses.range.weight": 5.0,
            "losses.adversarial.views": ("color", "grey", "surface"),
            "losses.adversarial.augment": ("color", "translation", "cutout"),
            "features.network": "pca_kd_vgg",
            "features.normalized": True,
            "data.cache_dir": str(tmp_path / "cache"),
        },
    )
    with config.unlocked():
        config.discriminator = ConfigDict({"name": "projected", "width": 8, "mixing": "scales"})
    train(config, tmp_path / "run")
    first, _ = metrics(tmp_path / "run")
    # Where it started there is nothing to hold it to.
    assert first["g/anchor"] < 1e-6
    assert {"d/real", "d/grey/real", "d/surface/fake", "g/flat", "g/range"} <= first.keys()
    bundle = load_bundle(tmp_path / "run" / "model.safetensors")
    started = load_bundle(uninterrupted / "model.safetensors").parameters
    difference = jax.tree.map(lambda a, b: np.abs(a - b).max(), bundle.parameters, started)
    # Adam's steps are as long as its learning rate.
    assert 0 < max(jax.tree.leaves(difference)) < 4 * 2e-4
    # Who judges needs the pretrained network, which no bundle has.
    assert bundle.discriminator is None


def test_branches_are_folded_in_the_bundle(config, tmp_path):
    train(altered(config, **{"generator.branches": True}), tmp_path / "run")
    bundle = load_bundle(tmp_path / "run" / "model.safetensors")
    assert bundle.metadata["generator"]["branches"] is False
    assert set(bundle.parameters["stem"]) == {"kernel", "bias"}
    assert bundle.discriminator is not None


def test_the_best_of_another_run_does_not_stay(config, uninterrupted, tmp_path, capfd):
    (tmp_path / "run").mkdir()
    other = load_bundle(uninterrupted / "model.safetensors")
    metadata = {**other.metadata, "name": "other", "figures": {"swd": 0.0}}
    save_bundle(tmp_path / "run" / "best.safetensors", other.parameters, metadata)
    settings = {"evaluation.every": 6, "evaluation.count": 2, "evaluation.size": 64}
    train(altered(config, **settings), tmp_path / "run")
    best = load_bundle(tmp_path / "run" / "best.safetensors").metadata
    assert (best["name"], best["step"]) == (config.name, 6)
    assert "best swd: step 6" in capfd.readouterr().out


def test_a_finished_run_can_still_be_evaluated(config, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    unknown = altered(config, **{"evaluation.every": 3, "evaluation.best": "truth_ssim"})
    with pytest.raises(UserError, match=r"evaluation\.best"):
        train(unknown, tmp_path / "run")
    train(altered(config, **{"evaluation.every": 3}), tmp_path / "run")
    assert "swd" in load_bundle(tmp_path / "run" / "model.safetensors").metadata["figures"]
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_a_run_whose_data_changed_is_not_gone_on_with(config, images, uninterrupted, tmp_path):
    shutil.copytree(images, tmp_path / "images")
    shutil.copytree(uninterrupted, tmp_path / "run")
    more = altered(
        config,
        **{
            "data.content": str(tmp_path / "images" / "photos"),
            "data.style": str(tmp_path / "images" / "paintings"),
        },
    )
    write_config(tmp_path / "run", FrozenConfigDict(more).to_dict())
    shutil.copy(images / "photos" / "0.png", tmp_path / "images" / "photos" / "new.png")
    with pytest.raises(UserError, match=r"data\.content had 7 frames .* has 8 now"):
        train(more, tmp_path / "run")
