import functools
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from ml_collections import FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.guides.painters import PAINTERS
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.media.images import read_image
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.training.training_data import load_batches, open_training_data, style_names


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


def levels(source):
    return [int(image[0, 0, 0]) for image in source]


def test_a_few_painted_frames_are_the_pairs(folder):
    sources = opened(content=str(folder / "frames"), style=str(folder / "painted"), paired=True)
    assert levels(sources.content) == [30, 90]
    assert levels(sources.style) == [130, 190]


def test_key_frames_are_spread_over_the_content(folder):
    frames = str(folder / "frames")
    sources = opened(content=frames, style=frames, paired=True, key_frames=3)
    assert levels(sources.content) == levels(sources.style) == [0, 60, 110]


def test_noise_needs_no_content(folder):
    sources = opened(needs_content=False, content="", style=str(folder / "frames"))
    assert sources.content is None
    assert len(sources.style) == 12
    assert sources.frame_counts() == {"content": 0, "style": 12}


def test_several_styles_are_named_after_their_sources(folder):
    styles = (str(folder / "frames"), str(folder / "painted" / "*.png"))
    sources = opened(content=str(folder / "frames"), styles=styles)
    assert [len(source) for source in sources.style] == [12, 2]
    assert sources.frame_counts() == {"content": 12, "style": 14}
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


@pytest.mark.slow
def test_a_teacher_paints_the_pairs(teachers):
    """A real-time generator of zeros leaves what it sees as it is."""
    frames = {"content": str(teachers / "frames"), "cache_dir": str(teachers / "cache")}
    for name, style in (("one", ""), ("three", "oil")):
        sources = opened(
            **frames, teacher=str(teachers / f"{name}.safetensors"), teacher_style=style
        )
        for image, painted in zip(sources.content, sources.style, strict=True):
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


@pytest.fixture
def painters(monkeypatch):
    """Two that are quick, whose results tell by whom they are, and of what."""
    monkeypatch.setitem(PAINTERS, "negative", lambda image: 1 - image)
    monkeypatch.setitem(PAINTERS, "dark", lambda image: image / 5)


def test_each_style_has_a_guide_that_paints_the_content_at_every_scale(folder, painters):
    frames = str(folder / "frames")
    sources = opened(
        content=frames,
        styles=(str(folder / "painted"), frames),
        guides=("painter:negative", "painter:dark"),
        content_sides=(8, 16),
        key_frames=2,
        cache_dir=str(folder / "cache"),
    )
    assert [image.shape for image in sources.content] == 2 * [(8, 8, 3)] + 2 * [(16, 16, 3)]
    assert levels(sources.content) == [0, 110, 0, 110]
    negative, dark = sources.guides
    assert levels(negative) == [255, 145, 255, 145]
    assert levels(dark) == [0, 22, 0, 22]
    assert negative[3].shape == (16, 16, 3)
    assert sources.frame_counts() == {"content": 4, "style": 14}


@pytest.fixture
def photos(folder):
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for i in range(3):
        pixels = rng.integers(0, 256, (40, 48, 3), np.uint8)
        cv2.imwrite(str(folder / "photos" / f"{i}.png"), pixels)
    return folder


def guided(folder, **data):
    """Batches of photos, two styles and a guide for each."""
    config = default_config()
    config.image_size, config.batch_size = 32, 4
    config.data.update(
        {
            "content": str(folder / "photos"),
            "styles": (str(folder / "frames"), str(folder / "painted")),
            "guides": ("painter:negative", "painter:dark"),
            "content_sides": (40,),
            "cache_dir": str(folder / "cache"),
            **data,
        }
    )
    config = FrozenConfigDict(config)
    return config, open_training_data(config, needs_content=True, say=print)


def test_batches_bring_the_guide_of_the_style_at_the_scale_of_the_content(photos, painters):
    config, sources = guided(photos)
    batches = load_batches(config, sources)
    batch = next(batches)
    batches.close()
    assert batch["style_label"].tolist() == [0, 1, 0, 1]
    for content, guide, label in zip(
        batch["content"], batch["guide"], batch["style_label"], strict=True
    ):
        windows = np.lib.stride_tricks.sliding_window_view(sources.content, (32, 32), axis=(1, 2))
        assert (windows == content.transpose(2, 0, 1)).all(axis=(3, 4, 5)).any()
        expected = np.rint(content / 5) if label else 255 - content.astype(int)
        np.testing.assert_array_equal(guide, expected)


@pytest.mark.slow
def test_images_that_are_kept_in_memory_give_the_same_batches(photos, painters, monkeypatch):
    """Over several epochs, in which those that are not kept are decoded anew each time."""
    decoded = []

    def read(path):
        decoded.append(Path(path).name)
        return read_image(path)

    monkeypatch.setattr("jaxstyle.media.images.read_image", read)
    monkeypatch.setattr("jaxstyle.guides.teacher.read_image", read)
    shown = {}
    for memory in (500, 0):
        config, sources = guided(photos, memory=memory)
        decoded.clear()
        batches = load_batches(config, sources)
        shown[memory] = [next(batches) for _ in range(12)]
        batches.close()
        # 3 photos, 12 and 2 of the styles, 3 by each guide; threads may decode one at once.
        if memory:
            assert len(decoded) < 3 * 23
        else:
            assert len(decoded) > 4 * 23
    for kept, anew in zip(shown[500], shown[0], strict=True):
        assert kept.keys() == anew.keys()
        for name in kept:
            np.testing.assert_array_equal(kept[name], anew[name])
