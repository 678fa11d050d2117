import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.contestants import (
    baselines,
    check_names,
    check_results,
    model_contestants,
    results_contestant,
)
from jaxstyle.evaluation.footage import Footage
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.models import GENERATORS, build_generator
from jaxstyle.models.examples import init_parameters


class Brighter(nn.Module):
    """Adds `added` grey levels; of two styles, the second adds twice as much."""

    styles: int = 1
    dtype: jnp.dtype = jnp.float32
    stride = 4

    @property
    def condition(self):
        return "styles" if self.styles > 1 else None

    @nn.compact
    def __call__(self, x, condition=None):
        added = self.param("added", nn.initializers.constant(20.0), ()) / 127.5
        if condition is not None:
            added = added * (condition @ jnp.arange(1.0, 1 + self.styles)).reshape(-1, 1, 1, 1)
        return x + added


class Tinted(nn.Module):
    """Every pixel gets the mean colour of the style image."""

    dtype: jnp.dtype = jnp.float32
    stride = 4
    condition = "image"

    def setup(self):
        self.gain = self.param("gain", nn.initializers.ones, ())

    def encode_style(self, x):
        return self.gain * x.mean(axis=(1, 2))

    def __call__(self, x, condition):
        return jnp.broadcast_to(self.gain * condition[:, None, None], x.shape)


class Dreamer(nn.Module):
    """Makes pictures from noise."""

    takes = "noise"
    latent = 3
    stride = 4
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z):
        return self.param("gain", nn.initializers.ones, ()) * z[:, None, None]


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """f(file name, config of the generator, change of its parameters, **metadata) -> the path."""
    for module in (Brighter, Tinted, Dreamer):
        monkeypatch.setitem(GENERATORS, module.__name__.lower(), module)

    def write(file, generator, change=lambda leaf: leaf, **metadata):
        parameters = init_parameters(build_generator(generator), jax.random.key(0), 64)
        changed = jax.tree.map(change, parameters)
        save_bundle(tmp_path / file, changed, {"generator": generator, **metadata})
        return tmp_path / file

    return write


def content_of(*lengths):
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 200, (length, 20, 28, 3), np.uint8) for length in lengths]
    return Content("clip.mp4", tuple(Footage("", frames) for frames in clips))


def models(*specs, style_images=()):
    return model_contestants([str(spec) for spec in specs], [str(image) for image in style_images])


def test_baselines_keep_the_shape_of_a_clip():
    content = content_of(2)
    unstylized, opencv = baselines()
    assert unstylized.stylize(content, 0) is content.clips[0].frames
    filtered = opencv.stylize(content, 0)
    assert filtered.shape == (2, 20, 28, 3)
    assert not np.array_equal(filtered, content.clips[0].frames)


def test_all_frames_are_stylized_once_and_in_order(bundle):
    # Batches have 4: fewer, some that overlap, and some that do not.
    content = content_of(3, 6, 8, 1)
    (model,) = models(bundle("m.safetensors", {"name": "brighter"}))
    for i, clip in enumerate(content.clips):
        expected = clip.frames.astype(int) + 20
        np.testing.assert_allclose(model.stylize(content, i), expected, atol=1)


def test_models_are_named_by_the_person_the_bundle_or_the_file(bundle):
    named = bundle("m.safetensors", {"name": "brighter"}, name="ink")
    unnamed = bundle("plain.safetensors", {"name": "brighter"})
    contestants = models(named, unnamed, f"mine={unnamed}")
    assert [c.name for c in contestants] == ["ink", "plain", "mine"]
    assert {c.kind for c in contestants} == {"model"}
    assert contestants[2].bundle == unnamed
    odd = bundle("a=b.safetensors", {"name": "brighter"})
    assert models(odd)[0].name == "a=b"


def test_each_style_of_a_bundle_is_a_contestant(bundle):
    path = bundle("m.safetensors", {"name": "brighter", "styles": 2}, styles=["dusk", "day"])
    content = content_of(2)
    frames = content.clips[0].frames.astype(int)
    contestants = models(f"light={path}")
    assert [c.name for c in contestants] == ["light: dusk", "light: day"]
    for contestant, added in zip(contestants, (20, 40), strict=True):
        np.testing.assert_allclose(contestant.stylize(content, 0), frames + added, atol=1)


def test_each_style_image_is_a_contestant(bundle, tmp_path):
    path = bundle("m.safetensors", {"name": "tinted"})
    colors = {"red": (200, 0, 0), "blue": (0, 0, 200)}
    files = [tmp_path / f"{name}.png" for name in colors]
    for file, color in zip(files, colors.values(), strict=True):
        Image.fromarray(np.full((70, 70, 3), color, np.uint8)).save(file)
    content = content_of(1)
    contestants = models(path, style_images=files)
    assert [c.name for c in contestants] == ["m: red", "m: blue"]
    for contestant, color in zip(contestants, colors.values(), strict=True):
        np.testing.assert_allclose(contestant.stylize(content, 0)[0, 5, 5], color, atol=1)
    assert [c.name for c in models(path, style_images=files[:1])] == ["m"]


def test_models_that_cannot_take_part_are_refused(bundle, tmp_path):
    plain = bundle("plain.safetensors", {"name": "brighter"})
    diverged = bundle("nan.safetensors", {"name": "brighter"}, lambda leaf: leaf * jnp.nan)
    dreamer = bundle("noise.safetensors", {"name": "dreamer"})
    tinted = bundle("tinted.safetensors", {"name": "tinted"})
    write_png(tmp_path / "red.png", np.zeros((70, 70, 3), np.uint8))
    refused = [
        ([plain, diverged], [], r"nan\.safetensors: the model holds NaN or infinite weights"),
        ([dreamer], [], r"makes pictures from noise"),
        ([tinted], [], r"tinted\.safetensors .* give one with --style_image=IMAGE"),
        ([tinted], [tmp_path / "no.png"], r"no\.png: no such file"),
        ([plain], [tmp_path / "red.png"], r"no model here takes a --style_image"),
        ([tmp_path / "none.safetensors"], [], r"no model at .*none\.safetensors"),
    ]
    for specs, images, message in refused:
        with pytest.raises(UserError, match=message):
            models(*specs, style_images=images)


@pytest.mark.parametrize("name", ["input", "truth", "ink", "in/k"])
def test_no_two_contestants_have_one_name(name, bundle):
    path = bundle("m.safetensors", {"name": "brighter"}, name=name)
    others = [*baselines(), *models(f"ink={path}", f"in_k={path}")]
    check_names(others)
    with pytest.raises(UserError, match=f"the name '{name}' is taken"):
        check_names([*others, *models(path)])


def write_results(folder, content, name="{:05d}.png"):
    for i, clip in enumerate(content.clips):
        for k, frame in enumerate(clip.frames):
            write_png(folder / content.folder(i) / name.format(k), frame)


@pytest.mark.parametrize(
    ("lengths", "name"), [((2, 2), "{:05d}.png"), ((12,), "frame 1-{}_stylized.png")]
)
def test_results_are_read_in_the_order_of_the_frames(tmp_path, lengths, name):
    content = content_of(*lengths)
    write_results(tmp_path / "theirs", content, name)
    contestant = results_contestant(f"other={tmp_path}/theirs")
    assert (contestant.name, contestant.kind) == ("other", "results")
    check_results([contestant, *baselines()], [content])
    for i, clip in enumerate(content.clips):
        assert np.array_equal(contestant.stylize(content, i), clip.frames)
    assert results_contestant(f"{tmp_path}/theirs").name == "theirs"


def test_results_that_do_not_fit_are_refused(tmp_path):
    content = content_of(2)
    contestant = results_contestant(f"{tmp_path}")
    pictures = tmp_path / "clip.mp4"

    def refusal():
        with pytest.raises(UserError) as raised:
            check_results([contestant], [content])
        return str(raised.value)

    assert f"there is no folder {pictures}" in refusal()
    write_results(tmp_path, content)
    write_png(pictures / "00001.png", np.zeros((20, 24, 3), np.uint8))
    assert "00001.png is 24x20, should be 28x20" in refusal()
    (pictures / "00001.png").write_bytes(b"broken")
    assert "00001.png: not a readable image" in refusal()
    (pictures / "00001.png").unlink()
    assert "has 1 pictures where the content has 2 frames; give --size" in refusal()
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        results_contestant(f"a={tmp_path}/nowhere")
