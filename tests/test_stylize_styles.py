"""The command with models of several styles, style images, masks, curves and judges."""

import json
from fractions import Fraction

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.inference.bundle import save_bundle
from jaxstyle.media.film import FilmReader, FilmWriter, Frame
from jaxstyle.media.images import read_image
from jaxstyle.models import GENERATORS, build_discriminator, build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.realtime.frame_loop import Loop
from jaxstyle.stylize import main

pytestmark = pytest.mark.slow

RATE = Fraction(25)
PLAIN = {"name": "realtime", "size": "tiny"}
STYLES = {"name": "realtime", "size": "tiny", "styles": 2}
JUDGE = {"name": "patch", "width": 4, "layers": 1}


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


@pytest.fixture
def arbitrary(tmp_path, monkeypatch):
    """A model that takes its style from an image."""
    monkeypatch.setitem(GENERATORS, "tinted", Tinted)
    path = tmp_path / "arbitrary.safetensors"
    save_bundle(path, {"gain": jnp.float32(1)}, {"generator": {"name": "tinted"}})
    return path


@pytest.fixture(scope="module")
def brighter(tmp_path_factory):
    """A model that adds 51 of 255 levels to every pixel, with a discriminator."""
    generator = build_generator(PLAIN)
    parameters = init_parameters(generator, jax.random.key(0), 64)
    added = jnp.zeros((generator.stride**2, 4)).at[:, :3].set(0.4).reshape(-1)
    parameters = {**parameters, "head": {**parameters["head"], "bias": added}}
    judge = build_discriminator(JUDGE).init(jax.random.key(1), jnp.zeros((1, 32, 32, 3)))
    path = tmp_path_factory.mktemp("model") / "brighter.safetensors"
    metadata = {"generator": PLAIN, "name": "brighter", "discriminator": JUDGE}
    save_bundle(path, parameters, metadata, discriminator=judge)
    return path


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A model of two styles: "dusk" adds 25.5 of 255 levels, "day" 76.5."""
    generator = build_generator(STYLES)
    parameters = init_parameters(generator, jax.random.key(0), 64)
    width = parameters["head"]["kernel"].shape[2]
    # The head turns its first channel into colour, and that is what the style says.
    only_colour = jnp.zeros((generator.stride**2, 4)).at[:, :3].set(1.0).reshape(-1)
    kernel = jnp.zeros_like(parameters["head"]["kernel"]).at[1, 1, 0].set(only_colour)
    parameters = {
        **parameters,
        "head": {**parameters["head"], "kernel": kernel},
        "head_style": {
            "scale": jnp.zeros((2, width)),
            "shift": jnp.zeros((2, width)).at[:, 0].set(jnp.float32([0.2, 0.6])),
        },
    }
    path = tmp_path_factory.mktemp("model") / "shades.safetensors"
    metadata = {"generator": STYLES, "name": "shades", "styles": ["dusk", "day"]}
    save_bundle(path, parameters, metadata)
    return path


def run(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


def write_film(path, levels, size=(64, 48)):
    with FilmWriter(path, time_base=1 / RATE, rate=RATE) as film:
        for i, level in enumerate(levels):
            film.write(Frame(np.full((size[1], size[0], 3), level, np.uint8), i, 1))
        film.finish()


def levels_of(path):
    with FilmReader(path) as film:
        return [frame.rgb.mean() for frame in film]


def test_style_images_are_styles(tmp_path, arbitrary):
    write_film(tmp_path / "in.mp4", [100] * 3)
    for name, color in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        Image.fromarray(np.full((70, 90, 3), color, np.uint8)).save(tmp_path / f"{name}.png")
    styles = [f"--style={tmp_path}/{name}.png" for name in ("red", "blue")]
    assert run(tmp_path / "in.mp4", f"{tmp_path}/out/", f"--model={arbitrary}", *styles) == 0
    picture = tmp_path / "out" / "frame_000002.png"
    np.testing.assert_allclose(read_image(picture)[5, 5], (200, 0, 0), atol=1)
    with Image.open(picture) as image:
        expected = "Stylized with jaxstyle, model arbitrary, style red, blue"
        assert image.text["Comment"] == expected


def test_a_model_of_several_styles_is_mixed_while_it_runs(tmp_path, shades, monkeypatch):
    write_film(tmp_path / "in.mp4", [100] * 4)
    start = Loop.run
    changes = [{}, {"style": "day"}, {"weights": {"dusk": 1, "day": 3}}, {"mix": 0.5}]
    for change, added in zip(changes, [25.5, 76.5, 63.75, 51.0], strict=True):

        def run_changed(loop, change=change):
            loop._controls.change(change)
            start(loop)

        monkeypatch.setattr(Loop, "run", run_changed)
        result = tmp_path / "out.mp4"
        assert run(tmp_path / "in.mp4", result, f"--model={shades}", "--overwrite") == 0
        assert levels_of(result)[-1] == pytest.approx(100 + added, abs=1.5)


def test_a_style_of_several_is_named(tmp_path, shades):
    write_film(tmp_path / "in.mp4", [100] * 2)
    for style, added in (("dusk", 25.5), ("day", 76.5)):
        out = f"{tmp_path}/{style}/"
        assert run(tmp_path / "in.mp4", out, f"--model={shades}", f"--style={style}") == 0
        picture = tmp_path / style / "frame_000001.png"
        assert read_image(picture).mean() == pytest.approx(100 + added, abs=1.5)
        with Image.open(picture) as image:
            assert image.text["Comment"] == f"Stylized with jaxstyle, model shades, style {style}"


def test_strength_follows_the_time_of_the_film(tmp_path, brighter):
    write_film(tmp_path / "in.mp4", [100] * 20)
    for batch in (1, 3):
        result = tmp_path / f"{batch}.mp4"
        options = ["--strength=0.2:0,0.4:1,0.6:0.5", f"--batch={batch}"]
        assert run(tmp_path / "in.mp4", result, f"--model={brighter}", *options) == 0
        times = np.arange(20) / 25
        expected = 100 + 51 * np.interp(times, [0.2, 0.4, 0.6], [0, 1, 0.5])
        np.testing.assert_allclose(levels_of(result), expected, atol=1.5)


def test_a_mask_says_what_is_stylized(tmp_path, brighter):
    write_film(tmp_path / "in.mp4", [100] * 4)
    write_film(tmp_path / "mask.mp4", [0, 255, 0], size=(32, 24))
    options = [f"--model={brighter}", f"--mask={tmp_path}/mask.mp4"]
    assert run(tmp_path / "in.mp4", tmp_path / "out.mp4", *options) == 0
    np.testing.assert_allclose(levels_of(tmp_path / "out.mp4"), [100, 151, 100, 100], atol=1.5)


def test_the_discriminator_judges_every_frame(tmp_path, brighter, capsys):
    levels = [60] * 30
    levels[11] = 200
    write_film(tmp_path / "in.mp4", levels)
    scores = tmp_path / "scores.jsonl"
    options = [f"--model={brighter}", f"--judge={scores}", "--batch=4"]
    assert run(tmp_path / "in.mp4", "null", *options) == 0
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(30))
    assert lines[11]["seconds"] == pytest.approx(11 / 25)
    usual = [line["score"] for i, line in enumerate(lines) if i != 11]
    assert abs(lines[11]["score"] - np.median(usual)) > 10 * np.ptp(usual)
    assert scores.with_suffix(".png").exists()
    assert f"frames flagged as poor, in {scores}" in capsys.readouterr().err
    assert run(tmp_path / "in.mp4", "null", *options) == 1
    assert "scores.jsonl exists; --overwrite replaces it" in capsys.readouterr().err


def test_what_does_not_go_together_is_one_line(
    tmp_path, brighter, shades, arbitrary, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_film("in.mp4", [100] * 2)
    for name in ("a.png", "m.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(name)
    before = sorted(tmp_path.iterdir())
    cases = [
        ([arbitrary], [], "arbitrary takes its style from an image; give one with --style=IMAGE"),
        ([brighter], ["--style=a.png"], "no model here takes a style image"),
        ([shades], ["--style=night"], "no style 'night'; there are: dusk, day"),
        ([shades], ["--style=dusk", "--style=day"], "--style names dusk and day; name the one"),
        ([arbitrary], ["--style=nowhere.png"], "nowhere.png: no such file"),
        ([shades], ["--judge=c.jsonl"], "shades has no discriminator to judge with"),
        ([brighter, shades], ["--judge=b.jsonl"], "give --judge one --model"),
        ([brighter], ["--judge=a.txt"], "ends in .jsonl"),
        ([brighter], ["--judge=m.jsonl", "--mask=m.png", "--overwrite"], "which is the mask"),
        ([brighter], ["--judge=b.jsonl", "--sink=b.png", "--max_frames=1"], "which is a sink"),
        ([brighter], ["--judge=r.jsonl", "--report=r.jsonl"], "which is the report"),
        ([brighter], ["--mask=nowhere.png"], "nothing at nowhere.png"),
    ]
    for models, options, message in cases:
        arguments = [*(f"--model={model}" for model in models), *options]
        assert run("in.mp4", "out.mp4", *arguments) == 1
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert message in errors[0]
    assert sorted(tmp_path.iterdir()) == before
    assert run("in.mp4", "out.mp4", f"--model={brighter}", "--strength=0:0,0:1") == 2
    assert "does not come after" in capsys.readouterr().err


def test_a_live_source_is_judged_for_as_many_frames_as_are_named(
    tmp_path, brighter, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save("a.png")
    # A picture that is watched comes again and again.
    monkeypatch.setattr("jaxstyle.commands.run_stylize.is_watched", lambda sink: True)
    options = [f"--model={brighter}", "--judge=s.jsonl"]
    assert run("a.png", "null", *options) == 1
    assert "which a live source has none of; give --max_frames" in capsys.readouterr().err
    assert run("a.png", "null", *options, "--max_frames=3", "--fps=50") == 0
    assert 1 <= len((tmp_path / "s.jsonl").read_text().splitlines()) <= 3


def test_a_mask_that_is_shorter_than_the_film_is_told(tmp_path, brighter, capsys):
    write_film(tmp_path / "in.mp4", [100] * 4)
    note = "note: the mask ended after 2 frames; its last one stayed"
    for length, told in ((2, 1), (4, 0), (1, 0)):
        write_film(tmp_path / "mask.mp4", [255] * length, size=(32, 24))
        options = [f"--model={brighter}", f"--mask={tmp_path}/mask.mp4"]
        assert run(tmp_path / "in.mp4", "null", *options) == 0
        assert capsys.readouterr().err.count(note) == told
