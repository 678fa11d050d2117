"""The command that measures a trained style and puts it into the package."""

import itertools
from fractions import Fraction

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open

from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.media.film import FilmWriter, Frame
from jaxstyle.media.images import read_image
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.styles import limits
from tools import style_card as card
from tools.ship_style import main

pytestmark = pytest.mark.slow

NANO = {"name": "realtime", "size": "nano"}
JUDGE = {"name": "patch", "width": 4, "layers": 1}
TRAINING = """python /opt/x/train.py --config=~/mine/cel.py --style="/a/my art/b" '~me/a/c' \\
  --a=oil:p=/d/e/f ~/g https://a.org/b/c"""
PUBLIC_TRAINING = """python train.py --config=cel.py --style="b" 'c' \\
  --a=oil:p=f g https://a.org/b/c"""
PATHS = ["~/a/c", "/a/b/c", "kind:x?y=/a/b&z=1", "tfds:/a/b?split=c", "https://a.org/b/c", "a/b"]
PUBLIC = ["c", "c", "kind:x?y=b&z=1", "tfds:b?split=c", "https://a.org/b/c", "a/b"]
SAID = {
    "name": "bright",
    "description": "Everything in the sun.",
    "licence": "Apache-2.0",
    "credits": ["noise of our own"],
    "step": 9,
    "config": {"generator": NANO, "batch_size": 1, "image_size": 64, "data": {"styles": PATHS}},
    "figures": {"swd": 123.0},
}


@pytest.fixture(scope="module", autouse=True)
def small_and_quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SIZE", 64)
        yield


def bundle(path, count, head, judge=None, **said):
    generator = {**NANO, "styles": count}
    parameters = init_parameters(build_generator(generator), jax.random.key(0), 64)
    parameters = {**parameters, **head(parameters)}
    metadata = {**SAID, "generator": generator, "discriminator": JUDGE, **said}
    save_bundle(path, parameters, metadata, discriminator=judge)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Photos; art that is 51 of 255 levels brighter; a film; models that add as much, or vary."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    for i in range(3):
        photo = rng.integers(0, 200, (64, 64, 3), np.uint8)
        write_png(folder / "photos" / f"{i}.png", photo)
        write_png(folder / "art" / f"{i}.png", photo + 51)
    with FilmWriter(folder / "walk.mp4", time_base=Fraction(1, 25), rate=Fraction(25)) as film:
        scene = cv2.resize(rng.integers(20, 180, (12, 20, 3), np.uint8), (160, 96))
        for t in range(11):
            film.write(Frame(np.ascontiguousarray(scene[:80, t : t + 112]), t, 1))
        film.finish()
    color = jnp.zeros((16, 4)).at[:, :3].set(1.0).reshape(-1)

    def brighter(parameters):
        # 0.40001 is no float16: what ships is 0.3999 or 0.4001.
        return {"head": {**parameters["head"], "bias": 0.40001 * color}}

    def shades(parameters):
        kernel = jnp.zeros_like(parameters["head"]["kernel"]).at[1, 1, 0].set(color)
        shift = jnp.zeros((2, kernel.shape[2])).at[:, 0].set(jnp.float32([0.2, 0.6]))
        style = {"scale": jnp.zeros_like(shift), "shift": shift}
        return {"head": {**parameters["head"], "kernel": kernel}, "head_style": style}

    judge = build_discriminator(JUDGE).init(jax.random.key(1), jnp.zeros((1, 32, 32, 3)))
    bundle(folder / "bright.safetensors", 1, brighter, judge)
    bundle(folder / "shades.safetensors", 2, shades, name="shades", styles=["dusk", "day"])
    return folder


def ship(files, out, model, *options):
    arguments = [
        files / f"{model}.safetensors",
        f"--photos={files}/photos",
        f"--clip={files}/walk.mp4",
        f"--training={TRAINING}",
        f"--package={out}/package",
        f"--docs={out}/docs",
    ]
    return main([*map(str, arguments), *options])


def test_a_style_ships_with_its_figures_and_pictures(tmp_path, files, capsys):
    assert ship(files, tmp_path, "bright", f"--art={files}/art", "--name=sunny") == 0
    path = tmp_path / "package" / "sunny.safetensors"
    with safe_open(path, framework="numpy") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
    shipped = load_bundle(path)
    assert shipped.discriminator is None
    said = {**shipped.metadata}
    metrics = said.pop("figures")
    measured = said.pop("measured")
    assert said == {
        **{key: value for key, value in SAID.items() if key != "figures"},
        "name": "sunny",
        "generator": {**NANO, "styles": 1},
        # Where things lay on the machine that trained it is nobody's business.
        "training": PUBLIC_TRAINING,
        "config": {**SAID["config"], "data": {"styles": PUBLIC}},
    }
    assert (measured["photos"], measured["art"], measured["frames"]) == (3, [3], [11])
    # What it makes of the photos is the art; a constant changes no difference between frames.
    assert metrics["swd"] < 0.02
    assert metrics["swd_ratio"] < 0.1
    assert metrics["edge_f1"] == pytest.approx(1, abs=0.01)
    assert metrics["warp_ratio_1 on walk"] == pytest.approx(1, abs=0.02)
    assert metrics["warp_ratio_8 on walk"] == pytest.approx(1, abs=0.02)
    told = capsys.readouterr().out
    assert told.count("kept") == 3
    assert f"{path.stat().st_size:,} bytes" in told
    sheet = read_image(tmp_path / "docs" / "sunny_photos.jpg").astype(float)
    assert np.mean(sheet[:64, 68:132] - sheet[:64, :64]) == pytest.approx(51, abs=1)
    strip = read_image(tmp_path / "docs" / "sunny_walk.jpg").astype(float)
    assert strip.shape == (2 * 80 + 4, 6 * 112 + 5 * 4, 3)
    assert np.mean(strip[84:, :112] - strip[:80, :112]) == pytest.approx(51, abs=1)
    small = read_image(tmp_path / "package" / "sunny.jpg").astype(float)
    assert small[-100:].mean() - small[:100].mean() == pytest.approx(51, abs=3)


def test_several_styles_ship_with_figures_and_pictures_of_each(tmp_path, files):
    art = [f"--art={style}={files}/art" for style in ("day", "dusk")]
    assert ship(files, tmp_path, "shades", *art) == 0
    shipped = load_bundle(tmp_path / "package" / "shades.safetensors")
    metrics = shipped.metadata["figures"]
    assert shipped.metadata["measured"]["styles"] == ["dusk", "day"]
    assert {"swd_ratio of dusk", "swd_ratio of day", "warp_ratio_8 of day on walk"} < set(metrics)
    # 25 and 76 levels are as far from 51; both are nearer than 0.
    assert 0 < metrics["swd_ratio of dusk"] < 0.9
    docs = tmp_path / "docs"
    photo = read_image(files / "photos" / "0.png").astype(float)
    mixes = read_image(docs / "shades_mixes.jpg").astype(float)
    for (i, j), added in zip(
        itertools.combinations_with_replacement(range(2), 2), (25.5, 51, 76.5), strict=True
    ):
        cell = mixes[388 * i : 388 * i + 384, 388 * j : 388 * j + 384]
        # The brightest third of the photo's levels is cut off at 255 by the brighter style.
        expected = np.clip(photo + added, 0, 255).mean()
        assert cell.mean() == pytest.approx(expected, abs=2)
    # The page is written of what is there, without another word but the hand-written ones.
    for name in ("shades.md", "photos_and_clips.md"):
        (docs / name).write_text("It clips.")
    page = card.card(tmp_path / "package", docs)
    for style, what in itertools.product(("dusk", "day"), ("photos", "walk")):
        assert f"(docs/shades_{style}_{what}.jpg)" in page


def test_what_cannot_ship_is_one_line(tmp_path, files, capsys):
    art = f"--art={files}/art"
    cases = [
        ("bright", [art, "--name=Sunny Side"], "'Sunny Side' is no name for a style"),
        ("bright", [art, art], "--art is given 2 times for one style"),
        ("shades", [art], "give --art=STYLE=PICTURES once for each style: dusk, day"),
        ("bright", [art, f"--clip={files}/walk.mp4"], "clips of the same name"),
        ("bright", [art, f"--clip={files}/photos"], "or called photos or mixes"),
        ("bright", [art, f"--clip={files}/art"], "art is not a film"),
        ("bright", [art, f"--photos={files}/photos/0.png"], "must hold 3 photos or more"),
        ("bright", [art, f"--photos={files}/nowhere"], "nowhere"),
    ]
    for model, options, message in cases:
        with pytest.raises(SystemExit):
            ship(files, tmp_path, model, *options)
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert message in errors[0]
    bundle(tmp_path / "bare.safetensors", 1, lambda _: {}, licence="")
    with pytest.raises(SystemExit):
        ship(tmp_path, tmp_path, "bare", art)
    assert "has no licence; train it with config.licence" in capsys.readouterr().err
    assert not (tmp_path / "package").exists()
