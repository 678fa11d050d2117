import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.generate import main
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.inference.noise import blended, latent_at, latents, sample_images, slerp
from jaxstyle.media.film import FilmReader
from jaxstyle.media.images import read_image
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow

CONFIG = {"name": "dcgan", "latent": 4, "width": 4, "image_size": 16}
SIZE, GAP = 16, 4


def colourful(parameters):
    """Initial weights give an even grey; larger ones, pictures that differ."""
    return jax.tree.map(lambda a: 10 * a if a.ndim > 1 else a, parameters)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    generator = build_generator(CONFIG)
    parameters = colourful(init_parameters(generator, jax.random.key(0), SIZE))
    z = jax.random.normal(jax.random.key(1), (64, 4))
    _, stored = generator.apply({"params": parameters}, z, mutable=["batch_stats"])
    path = tmp_path_factory.mktemp("model") / "blobs.safetensors"
    metadata = {"generator": CONFIG, "name": "blobs"}
    save_bundle(path, parameters, metadata, statistics=stored["batch_stats"])
    return path


@pytest.fixture(scope="module")
def samples(model):
    """The first 16 samples of seed 3, from the model itself."""
    bundle = load_bundle(model)
    images = bundle.generator.apply(
        {"params": bundle.parameters, "batch_stats": bundle.statistics}, latents(3, 0, 16, 4)
    )
    return np.rint((np.asarray(images, np.float64) + 1) * 127.5).astype(np.uint8)


def run(*arguments):
    return main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_status:
        run(*arguments)
    assert exit_status.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def cells(sheet, rows, columns):
    pitch = SIZE + GAP
    return [
        sheet[r * pitch : r * pitch + SIZE, c * pitch : c * pitch + SIZE]
        for r in range(rows)
        for c in range(columns)
    ]


def assert_same(images, expected):
    """But for the rounding of one level that a compiled batch of another size may do."""
    assert np.abs(np.stack(images).astype(int) - expected).max() <= 1


def test_samples_are_the_generators_pictures_clipped_and_rounded():
    class Ramp:
        def apply(self, variables, z):
            assert variables == {"params": 0.5, "batch_stats": {}}
            return variables["params"] * z.reshape(-1, 1, 1, 1)

    z = jnp.asarray([-9.0, -2.0, 0.0, 1.0, 2.0, 9.0])
    images = sample_images(Ramp(), 0.5, z)
    assert images.dtype == jnp.uint8
    # 127.5 rounds to the even 128.
    assert images.ravel().tolist() == [0, 0, 128, 191, 255, 255]


def test_a_sample_depends_on_its_seed_and_number_alone():
    many = latents(7, 0, 500, 8)
    np.testing.assert_array_equal(latents(7, 100, 3, 8), many[100:103])
    assert np.abs(latents(8, 0, 500, 8) - many).max() > 1
    np.testing.assert_allclose([many.mean(), many.std()], [0, 1], atol=0.05)


def test_slerp_moves_evenly_along_the_great_circle():
    a, b = np.float32([[3, 0, 0]]), np.float32([[0, 0, 3]])
    for t in (0, 0.25, 0.5, 1):
        angle = t * np.pi / 2
        expected = [[3 * np.cos(angle), 0, 3 * np.sin(angle)]]
        np.testing.assert_allclose(slerp(a, b, t), expected, atol=1e-6)


def test_slerp_keeps_the_length_of_gaussian_vectors():
    a, b = latents(0, 0, 50, 512), latents(1, 0, 50, 512)
    lengths = np.linalg.norm(slerp(a, b, 0.5), axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(512), rtol=0.1)
    assert (np.linalg.norm((a + b) / 2, axis=1) < 0.8 * np.sqrt(512)).all()


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_slerp_of_parallel_vectors_is_the_line(factor):
    a = np.float32([[1, 2, 3]])
    expected = 0.75 * a + 0.25 * factor * a
    np.testing.assert_allclose(slerp(a, factor * a, 0.25), expected, atol=1e-5)


def test_the_walk_visits_its_stops_smoothly_and_closes():
    stops = latents(0, 0, 3 * 2, 16).reshape(3, 2, 16)
    for k in range(3):
        np.testing.assert_allclose(latent_at(stops, k), stops[k], atol=1e-6)
    np.testing.assert_allclose(latent_at(stops, 2.9999), stops[0], atol=1e-2)
    at = np.linspace(0, 3, 301)
    walk = np.stack([latent_at(stops, position) for position in at])
    velocity = np.diff(walk, axis=0) / 0.01
    jumps = np.abs(np.diff(velocity, axis=0)).max()
    # A walk without easing would turn with a jump of the size of the velocity.
    assert jumps < 0.1 * np.abs(velocity).max()


def test_blended_goes_from_the_source_to_the_samples():
    samples, source = np.uint8([[200, 0]]), np.uint8([[100, 255]])
    assert blended(samples, source, 0).tolist() == source.tolist()
    assert blended(samples, source, 1).tolist() == samples.tolist()
    assert blended(samples, source, 0.25).tolist() == [[125, 191]]


def test_an_image_is_a_grid_of_samples(model, samples, tmp_path):
    out = tmp_path / "grid.png"
    assert run(model, out, "--rows=2", "--columns=3", "--seed=3") == 0
    sheet = read_image(out)
    assert sheet.shape == (2 * SIZE + GAP, 3 * SIZE + 2 * GAP, 3)
    assert_same(cells(sheet, 2, 3), samples[:6])
    assert np.abs(samples[0].astype(int) - samples[1]).mean() > 5
    with Image.open(out) as image:
        assert image.text["Comment"] == "Generated with jaxstyle, model blobs, seed 3"


def test_a_folder_gets_single_images_whatever_the_batch(model, samples, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.commands.run_generate._BATCH", 4)
    assert run(model, f"{tmp_path}/many/", "--count=10", "--seed=3") == 0
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [f"sample_{i:05d}.png" for i in range(10)]
    assert_same([read_image(tmp_path / "many" / name) for name in names], samples[:10])
    # A grid is computed in the same batches.
    run(model, tmp_path / "grid.png", "--rows=2", "--columns=3", "--seed=3")
    assert_same(cells(read_image(tmp_path / "grid.png"), 2, 3), samples[:6])


def test_a_film_walks_from_the_grid_of_its_seed(model, samples, tmp_path):
    out = tmp_path / "walk.mp4"
    assert run(model, out, "--rows=2", "--columns=2", "--frames=12", "--fps=25", "--seed=3") == 0
    with FilmReader(out) as film:
        assert film.rate == 25
        frames = [frame.rgb for frame in film]
    assert len(frames) == 12
    # Colour is coded at half the resolution, so it is brightness that is compared.
    brightness = np.array([0.2126, 0.7152, 0.0722])
    difference = np.stack(cells(frames[0], 2, 2)) @ brightness - samples[:4] @ brightness
    assert np.abs(difference).mean() < 5
    change = [np.abs(a.astype(int) - frames[0]).mean() for a in frames]
    assert max(change) > 5
    assert change[-1] < max(change) / 2  # it comes back


def test_samples_are_mixed_with_crops_of_a_source(model, samples, tmp_path):
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = 240
    Image.fromarray(red).save(tmp_path / "red.png")
    arguments = ("--rows=1", "--columns=4", "--seed=3", f"--source={tmp_path}/red.png")
    run(model, tmp_path / "a.png", *arguments, "--strength=0.25")
    expected = 0.75 * red[0, 0] + 0.25 * samples[:4]
    mixed = np.stack(cells(read_image(tmp_path / "a.png"), 1, 4))
    np.testing.assert_allclose(mixed, expected, atol=1)
    run(model, tmp_path / "half.png", *arguments)
    mixed = np.stack(cells(read_image(tmp_path / "half.png"), 1, 4))
    np.testing.assert_allclose(mixed, 0.5 * red[0, 0] + 0.5 * samples[:4], atol=1)


def test_crops_differ_and_belong_to_their_number(model, tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None]
    Image.fromarray(np.tile(ramp, (64, 1, 3))).save(tmp_path / "ramp.png")
    options = (f"--source={tmp_path}/ramp.png", "--strength=0")
    run(model, tmp_path / "grid.png", "--rows=2", "--columns=2", *options)
    run(model, f"{tmp_path}/many/", "--count=6", *options)
    crops = cells(read_image(tmp_path / "grid.png"), 2, 2)
    assert len({crop[0, 0, 0] for crop in crops}) > 1
    for number, crop in enumerate(crops):
        np.testing.assert_array_equal(
            read_image(tmp_path / "many" / f"sample_{number:05d}.png"), crop
        )


def test_what_is_there_is_replaced_only_when_asked(model, tmp_path, capsys):
    out = tmp_path / "grid.png"
    out.write_bytes(b"kept")
    arguments = (model, out, "--rows=1", "--columns=1")
    assert "--overwrite" in refusal(capsys, *arguments)
    assert out.read_bytes() == b"kept"
    assert run(*arguments, "--overwrite") == 0
    assert read_image(out).shape == (SIZE, SIZE, 3)
    assert "not empty" in refusal(capsys, model, tmp_path)
    assert run(model, tmp_path, "--count=1", "--overwrite") == 0
    photo = f"--source={out}"
    assert "is an input" in refusal(capsys, model, out, photo, "--overwrite")


def test_a_model_of_images_is_sent_to_stylize(tmp_path, capsys):
    config = {"name": "realtime", "size": "tiny"}
    parameters = init_parameters(build_generator(config), jax.random.key(0), 32)
    path = tmp_path / "anime.safetensors"
    save_bundle(path, parameters, {"generator": config})
    assert "python -m jaxstyle.stylize" in refusal(capsys, path, tmp_path / "a.png")


def test_a_model_that_diverged_is_refused(model, tmp_path, capsys):
    bundle = load_bundle(model)
    parameters = jax.tree.map(lambda a: a * jnp.nan, bundle.parameters)
    save_bundle(tmp_path / "nan.safetensors", parameters, bundle.metadata)
    assert "NaN" in refusal(capsys, tmp_path / "nan.safetensors", tmp_path / "a.png")


def test_a_model_without_statistics_uses_those_of_the_batch(model, tmp_path):
    bundle = load_bundle(model)
    save_bundle(tmp_path / "plain.safetensors", bundle.parameters, bundle.metadata)
    assert run(tmp_path / "plain.safetensors", tmp_path / "a.png", "--rows=2", "--columns=2") == 0
    images = bundle.generator.apply({"params": bundle.parameters}, latents(0, 0, 4, 4))
    expected = (np.asarray(images) + 1) * 127.5
    found = np.stack(cells(read_image(tmp_path / "a.png"), 2, 2))
    np.testing.assert_allclose(found, expected, atol=1)


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("a.xyz", (), "cannot write .xyz"),
        ("nowhere/a.png", (), "no folder"),
        ("a.png", ("--strength=0.3",), "--source"),
        ("a.png", ("--source=missing.png",), "no such file"),
        ("a.png", ("--count=4",), "--count is not for an image, which takes --rows, --columns"),
        ("a.png", ("--fps=25",), "--fps is not for an image"),
        ("a.mp4", ("--count=4",), "--count is not for a film"),
        ("many/", ("--rows=2",), "--rows is not for a folder, which takes --count"),
        ("many/", ("--frames=9",), "--frames is not for a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(model, tmp_path, capsys, out, options, message):
    assert message in refusal(capsys, model, f"{tmp_path}/{out}", *options)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_file_nor_folder_are_refused(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "a new folder is written many/" in refusal(capsys, model, "many")
    assert "no model" in refusal(capsys, "missing.safetensors", "a.png")
    shutil.copy(model, tmp_path / "file")
    assert "is a file" in refusal(capsys, model, "file/")


@pytest.mark.parametrize(
    "option", ["--rows=0", "--fps=0", "--seed=-1", "--strength=2", "--count=x"]
)
def test_values_out_of_range_are_refused(model, option, capsys):
    with pytest.raises(SystemExit) as exit_status:
        run(model, "a.png", option)
    assert exit_status.value.code == 2
    assert option.split("=")[1] in capsys.readouterr().err
