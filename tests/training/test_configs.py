"""Every recipe that ships: its settings, its shapes, and a training of a few small steps."""

import functools
import importlib.util
import json
import shutil
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle import features
from jaxstyle.data.sources import open_source
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import load_bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.inference.noise import sample_images
from jaxstyle.models.examples import condition_of, takes_noise
from jaxstyle.training import steps
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.networks import build_networks
from jaxstyle.training.objectives.discriminator import needs_smooth_frames
from jaxstyle.training.train_loop import _compiled_steps, train

RECIPES = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))

# What makes each architecture small; the rest are small enough at the size that is trained here.
SMALL_GENERATORS = {
    "resnet": {"width": 8, "blocks": 5},
    "realtime": {"size": "tiny"},
    "dcgan": {"width": 8},
    "wgan_gp": {"width": 8},
    "progan": {"width": 16, "latent": 16},
}
SMALL_DISCRIMINATORS = {
    "dcgan": {"width": 8},
    "wgan_gp": {"width": 8},
    "progan": {"width": 16},
    "patch": {"width": 8, "layers": 1},
}
STEPS = 4


def load_recipe(path: Path):
    """The module of a recipe, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    return load_recipe(request.param)


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory) -> Path:
    """Random weights in a published layout: the pretrained network of perceptual terms."""
    _, shapes = features.describe("squeezenet")
    rng = np.random.default_rng(0)
    arrays = {}
    for layer, leaves in shapes.items():
        if layer == "input":
            continue
        kernel = leaves["kernel"].shape
        scale = np.sqrt(2 / np.prod(kernel[:3]))
        arrays[f"{layer}/kernel"] = rng.normal(0, scale, kernel).astype(np.float32)
        arrays[f"{layer}/bias"] = np.zeros(leaves["bias"].shape, np.float32)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Folders of small images: content, and three styles of as many; names are the same in all."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, top in (("content", 256), ("one", 100), ("two", 160), ("three", 200)):
        (folder / name).mkdir()
        for i in range(6):
            blocks = rng.integers(0, top, (9, 9, 3), np.uint8)
            image = cv2.resize(blocks, (72, 72), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / name / f"{i}.png"), image)
    return folder


def shrunk(config: ConfigDict, pictures: Path, weights: Path) -> ConfigDict:
    """The recipe at a size that trains in seconds: what it consists of stays as it is."""
    config = config.copy_and_resolve_references().unlock()
    config.generator.update(SMALL_GENERATORS.get(config.generator.name, {}))
    config.discriminator.update(SMALL_DISCRIMINATORS.get(config.discriminator.name, {}))
    noise = "image_size" in config.generator
    config.image_size = 16 if config.growth.stages else 32
    if noise:
        config.generator.image_size = config.discriminator.image_size = config.image_size
    if config.growth.stages:
        config.growth.stages = (0.0, 0.3, 0.6)
    config.update(
        {
            "steps": STEPS,
            "batch_size": min(2, config.batch_size),
            "devices": 1,
            "initial_steps": min(config.initial_steps, 2),
            "generator_every": min(config.generator_every, 2),
            "log_every": 1,
            "sample_every": STEPS,
            "checkpoint_every": STEPS // 2,
        }
    )
    config.evaluation.every = 0
    config.data.update(
        {"content": "" if noise else str(pictures / "content"), "style": str(pictures / "one")}
    )
    if config.data.styles:
        names = ["one", "two", "three", "one"][: len(config.data.styles)]
        config.data.styles = tuple(str(pictures / name) for name in names)
        config.data.style_names = tuple(f"style {i}" for i in range(len(names)))
    config.losses.patch_nce.update({"patches": 8, "width": 8})
    if config.generator.name == "realtime":
        config.losses.patch_nce.layers = (1, 2)
    config.losses.shift.pixels = 16
    config.losses.shift.weight = 0.0  # needs more than 48 pixels to compare
    config.losses.palette.block = 8
    if config.losses.adversarial.pool:
        config.losses.adversarial.pool = 4
    config.features.update({"network": "squeezenet", "weights": str(weights)})
    for term in ("perceptual", "gram", "statistics"):
        layers = ("fire2", "fire3", "fire4", "fire5")[: len(config.losses[term].layers)]
        config.losses[term].layers = layers
    config.losses.support.gram_layers = ("fire2", "fire3", "fire4")
    config.losses.support.layer = "fire4"
    return config.lock()


@pytest.fixture
def compiled_once(monkeypatch):
    """A run that goes on takes the programs of the one before: most of the time goes into these."""
    programs = {}

    def shared(networks, config, mesh):
        if config not in programs:
            programs[config] = _compiled_steps(networks, config, mesh)
        return programs[config]

    monkeypatch.setattr("jaxstyle.training.train_loop._compiled_steps", shared)


def test_there_are_recipes():
    assert RECIPES


def test_a_recipe_is_sound(recipe):
    check_config(recipe.get_config())


def test_a_recipe_says_how_to_run_it(recipe):
    name = Path(recipe.__file__).name
    assert f"python -m jaxstyle.main --config=configs/{name} --workdir=" in recipe.__doc__


def test_a_recipe_refuses_an_unknown_setting(recipe):
    config = recipe.get_config()
    with pytest.raises((KeyError, AttributeError)):
        config.losses.sparkle = 1.0
    config = config.unlock()
    config.losses.sparkle = {"weight": 1.0}
    with pytest.raises(UserError, match=r"no setting losses\.sparkle"):
        check_config(config)


@pytest.mark.slow
def test_the_steps_of_a_recipe_fit_together(recipe):
    """Every kind of step that it takes: shapes, dtypes and names, without computing anything."""
    config = FrozenConfigDict(recipe.get_config())
    networks = build_networks(config)
    state = jax.eval_shape(lambda: steps.init_state(networks, config, jax.random.key(0)))
    image = jax.ShapeDtypeStruct(
        (config.batch_size, config.image_size, config.image_size, 3), jnp.uint8
    )
    batch = {"style": image}
    if not takes_noise(networks.generator):
        batch["content"] = image
    if needs_smooth_frames(config):
        batch["style_smooth"] = image
    if config.data.styles:
        batch["style_label"] = jax.ShapeDtypeStruct((config.batch_size,), jnp.int32)
    pretrained = {}
    if networks.features:
        network, pretrained["features"] = features.describe(config.features.network)
        if config.features.normalized:
            scalar = jax.ShapeDtypeStruct((), jnp.float32)
            pretrained["scales"] = dict.fromkeys(network.layers, scalar)
    for updates in {steps.updates_at(step, config) for step in range(config.steps)}:
        after, metrics = jax.eval_shape(
            lambda s, b, p, u=updates: steps.train_step(
                s, b, p, networks=networks, config=config, updates=u
            ),
            state,
            batch,
            pretrained,
        )
        assert jax.tree.structure(after) == jax.tree.structure(state)
        shapes = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, after, state)
        assert all(jax.tree.leaves(shapes))
        assert metrics
        assert all(figure.shape == () for figure in metrics.values())


def test_the_data_of_a_recipe_can_be_read(recipe):
    """Those that are rendered; without their cache, so that nothing is rendered here but one."""
    data = recipe.get_config().data
    for spec in (data.content, data.style, *data.styles):
        if spec.startswith("scenes:"):
            source = open_source(spec, size=32)
            assert source[len(source) - 1].shape[2] == 3


@pytest.mark.slow
def test_a_recipe_trains_and_resumes_and_its_model_runs(
    recipe, pictures, squeezenet, tmp_path, compiled_once
):
    config = shrunk(recipe.get_config(), pictures, squeezenet)
    train(config, tmp_path / "run")

    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert len(metrics) == STEPS
    for step in metrics:
        assert all(np.isfinite(value) for value in step.values())
    assert (tmp_path / "run" / "samples" / f"{STEPS:07d}.png").exists()

    # As if it had been killed after the first checkpoint.
    model = tmp_path / "run" / "model.safetensors"
    before = load_bundle(model)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(STEPS))
    model.unlink()
    train(config, tmp_path / "run")
    bundle = load_bundle(model)
    jax.tree.map(np.testing.assert_array_equal, bundle.parameters, before.parameters)

    if takes_noise(bundle.generator):
        noise = np.random.default_rng(0).standard_normal((4, bundle.generator.latent), np.float32)
        sample = jax.jit(functools.partial(sample_images, bundle.generator))
        samples = np.asarray(sample(bundle.parameters, noise, bundle.statistics))
        assert samples.shape == (4, config.image_size, config.image_size, 3)
        assert (samples[0] != samples[1]).any()
    else:
        frames = np.random.default_rng(1).integers(0, 256, (3, 36, 50, 3), np.uint8)
        images = [frames[0]] if condition_of(bundle.generator) == "image" else None
        stylized = np.asarray(Stylizer(bundle, style_images=images)(frames))
        assert stylized.shape == frames.shape
        assert (stylized != frames).any()


def test_any_style_from_a_picture_is_learned_without_a_download():
    recipe = load_recipe(next(path for path in RECIPES if path.stem == "arbitrary"))
    config = recipe.get_config()
    network, _ = features.load(config.features.network, config.features.weights)
    network.check_layers([*config.losses.perceptual.layers, *config.losses.statistics.layers])
