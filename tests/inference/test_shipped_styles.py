"""Every style that ships: what a user who installs the package relies on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.inference import shipped_styles
from jaxstyle.inference.engine import Stylizer, initial_state
from jaxstyle.inference.open_model import open_model
from jaxstyle.inference.settings import Settings

pytestmark = pytest.mark.slow

MOST_BYTES = 3_000_000


def test_names_are_those_of_the_bundles(tmp_path, monkeypatch):
    for name in ("ink.safetensors", "cel.safetensors", "cel.jpg", "oil.jpg", "notes.md"):
        (tmp_path / name).touch()
    monkeypatch.setattr(shipped_styles, "FOLDER", tmp_path)
    assert shipped_styles.names() == ["cel", "ink"]
    assert shipped_styles.bundle_path("cel") == tmp_path / "cel.safetensors"
    assert shipped_styles.picture_path("cel") == tmp_path / "cel.jpg"


def test_every_picture_is_of_a_style():
    assert (
        sorted(path.stem for path in shipped_styles.FOLDER.glob("*.jpg")) == shipped_styles.names()
    )


@pytest.mark.parametrize("name", shipped_styles.names())
def test_a_style_that_ships_is_small_described_and_pictured(name):
    assert shipped_styles.bundle_path(name).stat().st_size < MOST_BYTES
    with Image.open(shipped_styles.picture_path(name)) as picture:
        picture.load()
    metadata = open_model(name).metadata
    assert metadata["name"] == name
    for field in ("description", "licence"):
        assert metadata[field]
        assert "\n" not in metadata[field]
    assert metadata["credits"]
    assert all(isinstance(line, str) and line for line in metadata["credits"])
    assert metadata["figures"]
    assert np.isfinite(list(metadata["figures"].values())).all()
    assert metadata["config"]


@pytest.mark.parametrize("name", shipped_styles.names())
def test_a_style_that_ships_changes_a_frame_without_losing_it(name):
    bundle = open_model(name)
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
