"""The recipes of the styles that ship, in configs/styles: their data are made up here."""

import json
import runpy
import shutil
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from ml_collections import FrozenConfigDict

from jaxstyle.data.sources import open_source
from jaxstyle.guides.open_guide import open_guide
from jaxstyle.guides.painters import ART_LOOKS
from jaxstyle.inference.bundle import load_bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.style_recipe import style_config
from jaxstyle.training.train_loop import _compiled_steps, train
from jaxstyle.training.training_data import load_batches, open_training_data, style_names

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "configs/styles"
STYLES = ("cel", "gallery", "impressionist", "multistyle", "starry", "woodblock")
# The folder of its art and the painter that guides it, of each style; multistyle has this order.
GUIDES = {
    "cel": ("cartoon", "cel"),
    "impressionist": ("paintings", "oil"),
    "woodblock": ("wave", "woodblock"),
    "starry": ("starry_night", "starry"),
}
SIDE = 48
STEPS = 4


def recipe(name):
    return runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Photos of noise, and art of a grey for each style: 50, 90, 130, 170."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    greys = {folder: 50 + 40 * k for k, (folder, _) in enumerate(GUIDES.values())}
    folders = {"content": None} | greys
    for folder, grey in folders.items():
        path = Path("data/styles") / folder
        path.mkdir(parents=True)
        for i in range(2):
            blocks = rng.integers(0, 256, (6, 6, 3), np.uint8)
            picture = cv2.resize(blocks, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(path / f"{i}.png"), picture if grey is None else 0 * picture + grey)
    return tmp_path


def shrunk(config):
    """The recipe at a size that trains in seconds."""
    config = config.unlock()
    config.update({"steps": STEPS, "batch_size": 2, "image_size": 32, "devices": 1})
    config.update({"log_every": 1, "sample_every": STEPS, "checkpoint_every": STEPS // 2})
    config.generator.size = "tiny"
    config.discriminator.width = 4
    config.data.content_sides = (SIDE,)
    config.data.cache_dir = "cache"
    return config.lock()


def test_these_are_all():
    found = {path.stem for path in FOLDER.glob("*.py")}
    assert found - {"collect"} == set(STYLES)


@pytest.mark.parametrize("name", STYLES)
def test_a_recipe_is_sound(name):
    module = recipe(name)
    config = module["get_config"]()
    check_config(config)
    build_generator(config.generator)
    build_discriminator(config.discriminator)
    # Without these it cannot be shipped.
    assert config.name == name
    assert config.description
    assert config.licence
    assert len(config.credits) > 3
    run = f"--config=configs/styles/{name}.py --workdir=runs/{name}"
    assert f"python -m jaxstyle.main {run}" in module["__doc__"]


@pytest.mark.parametrize("name", GUIDES)
def test_multistyle_learns_what_each_style_learns_alone(name):
    alone, together = (recipe(n)["get_config"]() for n in (name, "multistyle"))
    k = together.data.style_names.index(name)
    folder, painter = GUIDES[name]
    assert alone.data.style == together.data.styles[k]
    assert Path(alone.data.style).name == folder
    assert alone.data.guides[0].partition("?")[0] == f"painter:{painter}"
    # From its painter, or from the model that has learned from it.
    assert together.data.guides[k] in (name, *alone.data.guides)
    assert set(alone.credits) <= set(together.credits)


def test_the_gallery_paints_each_style_with_the_colours_of_its_own_art():
    config = recipe("gallery")["get_config"]()
    data = config.data
    assert len(data.style_names) == len(data.styles) == len(data.guides) >= 10
    assert config.generator.styles == len(data.style_names)
    for style, art, guide in zip(data.style_names, data.styles, data.guides, strict=True):
        assert guide == f"painter:{style}?art={art}"
        assert style in ART_LOOKS


def test_a_config_of_ones_own_is_open_to_changes():
    """What is changed in one is not changed in the next."""
    config = style_config("mine", "of my own", art_credits=("me",))
    before = config.to_dict()
    config.losses.warp.weight = 9.0
    assert style_config("mine", "of my own", art_credits=("me",)).to_dict() == before
    assert before["credits"][0] == "me"


def test_the_guide_of_a_style_is_shown_with_its_art(data, monkeypatch):
    config = FrozenConfigDict(shrunk(recipe("multistyle")["get_config"]()))

    def grey_guide(spec, content, *, cache_dir):
        return [np.full_like(frame, 50 + 40 * config.data.guides.index(spec)) for frame in content]

    monkeypatch.setattr("jaxstyle.training.training_data.open_guide", grey_guide)
    assert style_names(config.data) == list(GUIDES)
    batches = load_batches(config, open_training_data(config, needs_content=True, say=print))
    shown = [next(batches) for _ in range(4)]
    batches.close()
    labels = np.concatenate([batch["style_label"] for batch in shown])
    assert labels.tolist() == [0, 1, 2, 3] * 2
    for name in ("guide", "style"):
        images = np.concatenate([batch[name] for batch in shown])
        assert (images == (50 + 40 * labels).reshape(-1, 1, 1, 1)).all()


@pytest.mark.parametrize("name", ["cel", "woodblock"])
def test_a_guide_that_is_matched_looks_like_the_art_that_is_learned(data, name):
    """The art here is flat: what the painter makes becomes the flatter, the more it is matched."""
    config = recipe(name)["get_config"]()
    (spec,) = config.data.guides
    assert f"art={config.data.style}&" in spec
    content = open_source(config.data.content, size=SIDE)
    plain, found = (open_guide(s, content, cache_dir="cache") for s in (spec.split("?")[0], spec))
    before, after = (
        np.mean([np.diff(image.astype(float), axis=0).std() for image in guide])
        for guide in (plain, found)
    )
    contrasts = float(spec.rpartition("contrasts=")[2])
    assert after < (1 - 0.6 * contrasts) * before


@pytest.fixture
def compiled_once(monkeypatch):
    """The run that goes on takes the programs of the one before."""
    programs = {}

    def shared(networks, config, mesh):
        return programs.setdefault("steps", _compiled_steps(networks, config, mesh))

    monkeypatch.setattr("jaxstyle.training.train_loop._compiled_steps", shared)


def test_a_guided_recipe_trains_and_resumes_and_its_model_runs(data, compiled_once):
    config = shrunk(recipe("impressionist")["get_config"]())
    run = data / "run"
    train(config, run)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert len(metrics) == STEPS
    assert all(np.isfinite(value) for step in metrics for value in step.values())
    assert metrics[0]["g/paired_l1"] > 0
    assert metrics[0]["g/paired_gradient"] > 0
    assert metrics[0]["g/patches"] > 0

    # As if it had been killed after the first checkpoint.
    before = load_bundle(run / "model.safetensors")
    shutil.rmtree(run / "checkpoints" / str(STEPS))
    (run / "model.safetensors").unlink()
    train(config, run)
    bundle = load_bundle(run / "model.safetensors")
    jax.tree.map(np.testing.assert_array_equal, bundle.parameters, before.parameters)

    for field in ("name", "description", "licence"):
        assert bundle.metadata[field] == config[field]
    assert tuple(bundle.metadata["credits"]) == config.credits
    frames = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), np.uint8)
    assert (np.asarray(Stylizer(bundle)(frames)) != frames).any()
