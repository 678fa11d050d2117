import functools

import cv2
import jax
import numpy as np
import pytest
from ml_collections import FrozenConfigDict

from jaxstyle.bundle import save_bundle
from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.training_data import open_training_data, style_names


@pytest.fixture
def folder(tmp_path):
    """Twelve frames, of which two are painted under their names."""
    for name, numbers in (("frames", range(12)), ("painted", (3, 9))):
        (tmp_path / name).mkdir()
        for i in numbers:
            picture = np.full((8, 8, 3), 10 * i + (100 if name == "painted" else 0), np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{i:03}.png"), picture)
    return tmp_path


def opened(needs_content=True, **data):
    config = default_config()
    config.update_from_flattened_dict({f"data.{name}": value for name, value in data.items()})
    return open_training_data(FrozenConfigDict(config), needs_content=needs_content, say=print)


def test_a_few_painted_frames_are_the_pairs(folder):
    content, style = opened(
        content=str(folder / "frames"), style=str(folder / "painted"), paired=True
    )
    assert [int(image[0, 0, 0]) for image in content] == [30, 90]
    assert [int(image[0, 0, 0]) for image in style] == [130, 190]


def test_key_frames_are_spread_over_the_content(folder):
    frames = str(folder / "frames")
    content, style = opened(content=frames, style=frames, paired=True, key_frames=3)
    assert [int(image[0, 0, 0]) for image in content] == [0, 60, 110]
    assert [int(image[0, 0, 0]) for image in style] == [0, 60, 110]


def test_noise_needs_no_content(folder):
    content, style = opened(needs_content=False, content="", style=str(folder / "frames"))
    assert content is None
    assert len(style) == 12


def test_several_styles_are_named_after_their_sources(folder):
    styles = (str(folder / "frames"), str(folder / "painted" / "*.png"))
    _, found = opened(content=str(folder / "frames"), styles=styles)
    assert [len(source) for source in found] == [12, 2]
    data = FrozenConfigDict({"styles": styles, "style_names": ()})
    assert style_names(data) == ["frames", "painted"]
    given = FrozenConfigDict({"styles": styles, "style_names": ("plain", "fancy")})
    assert style_names(given) == ["plain", "fancy"]


@pytest.mark.parametrize("domain", ["content", "style"])
def test_what_is_not_named_is_asked_for(folder, domain):
    data = {"content": str(folder / "frames"), "style": str(folder / "frames"), domain: ""}
    with pytest.raises(UserError, match=rf"config\.data\.{domain} names no images"):
        opened(**data)


@pytest.fixture
def teachers(folder):
    """Bundles of a generator of one style, of three, and of any."""
    for name, generator in {
        "one": {"name": "realtime", "size": "nano"},
        "three": {"name": "realtime", "size": "nano", "styles": 3},
        "any": {"name": "microast"},
    }.items():
        init = functools.partial(init_parameters, build_generator(generator), image_size=32)
        shapes = jax.eval_shape(init, jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        metadata = {"name": name, "generator": generator, "styles": ["ink", "oil", "chalk"]}
        save_bundle(folder / f"{name}.safetensors", zeros, metadata)
    return folder


def test_a_teacher_paints_the_pairs(teachers):
    """A real-time generator of zeros leaves what it sees as it is."""
    frames = {"content": str(teachers / "frames"), "cache_dir": str(teachers / "cache")}
    for name, style in (("one", ""), ("three", "oil")):
        content, style = opened(
            **frames, teacher=str(teachers / f"{name}.safetensors"), teacher_style=style
        )
        for image, painted in zip(content, style, strict=True):
            np.testing.assert_allclose(painted, image, atol=1)


@pytest.mark.parametrize(
    ("teacher", "style", "says"),
    [
        ("one", "oil", "has one style"),
        ("three", "", "'ink', 'oil', 'chalk'|ink, oil, chalk"),
        ("any", "", r"name it in config\.data\.teacher_style"),
    ],
)
def test_the_style_of_a_teacher_is_asked_for_by_its_setting(teachers, teacher, style, says):
    with pytest.raises(UserError, match=says):
        opened(
            content=str(teachers / "frames"),
            teacher=str(teachers / f"{teacher}.safetensors"),
            teacher_style=style,
        )
