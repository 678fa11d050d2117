"""Every style that ships: what a user who installs the package relies on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.bundle import load_bundle
from jaxstyle.realtime.controls import Settings
from jaxstyle.realtime.engine import Stylizer, initial_state
from jaxstyle.styles import shipped

MOST_BYTES = 3_000_000


def test_names_are_those_of_the_bundles(tmp_path, monkeypatch):
    for name in ("ink.safetensors", "cel.safetensors", "cel.jpg", "oil.jpg", "notes.md"):
        (tmp_path / name).touch()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert shipped.names() == ["cel", "ink"]
    assert shipped.bundle_path("cel") == tmp_path / "cel.safetensors"
    assert shipped.picture_path("cel") == tmp_path / "cel.jpg"


def test_every_picture_is_of_a_style():
    assert sorted(path.stem for path in shipped.FOLDER.glob("*.jpg")) == shipped.names()


@pytest.mark.parametrize("name", shipped.names())
def test_a_style_that_ships_is_small_described_and_pictured(name):
    assert shipped.bundle_path(name).stat().st_size < MOST_BYTES
    with Image.open(shipped.picture_path(name)) as picture:
        picture.load()
    metadata = load_bundle(name).metadata
    assert metadata["name"] == name
    for field in ("description", "licence"):
        assert metadata[field]
        assert "\n" not in metadata[field]
    assert metadata["credits"]
    assert all(isinstance(line, str) and line for line in metadata["credits"])
    assert metadata["figures"]
    assert np.isfinite(list(metadata["figures"].values())).all()
    assert metadata["config"]


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", shipped.names())
def test_a_style_that_ships_changes_a_frame_without_losing_it(name):
    bundle = load_bundle(name)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(bundle.parameters))
    stylizer = Stylizer(bundle)
    assert len(set(bundle.metadata.get("styles", [name]))) == len(stylizer.styles)
    height, width = 64, 96
    frame = np.zeros((1, height, width, 3), np.uint8)
    frame[:, :, width // 2 :] = 220
    frame[:, 16:32] += 30
    for style in range(len(stylizer.styles)):
        _, result = stylizer.step(initial_state(height, width), frame, Settings(style=style))
        result = np.asarray(result).astype(int)
        assert result.shape == frame.shape
        assert np.abs(result - frame).mean() > 1
        # What is bright remains brighter than what is dark.
        assert result[:, :, width // 2 + 8 :].mean() > result[:, :, : width // 2 - 8].mean() + 30
