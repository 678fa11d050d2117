import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from fractions import Fraction

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.inference.bundle import save_bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.media.film import FilmReader, FilmWriter, Frame
from jaxstyle.media.images import read_image
from jaxstyle.models import build_generator
from jaxstyle.stylize import main

CONFIG = {"name": "realtime", "size": "tiny"}


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A model whose output is its input: the untrained real-time generator."""
    return save_model(tmp_path_factory.mktemp("model") / "identity.safetensors", shift=0.0)


@pytest.fixture(scope="module")
def brighter(tmp_path_factory):
    """A model that adds 51 of 255 levels to every pixel."""
    return save_model(tmp_path_factory.mktemp("model") / "brighter.safetensors", shift=0.4)


def save_model(path, shift):
    generator = build_generator(CONFIG)
    parameters = generator.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
    # The head's channels are, per sub-pixel, three colours and a gate.
    head = parameters["head"]
    added = jnp.zeros((generator.stride**2, 4)).at[:, :3].set(shift).reshape(-1)
    parameters = {**parameters, "head": {**head, "bias": head["bias"] + added}}
    save_bundle(path, parameters, {"generator": CONFIG, "name": path.stem})
    return path


def picture(seed=0, height=30, width=42):
    return np.random.default_rng(seed).integers(0, 200, (height, width, 3), np.uint8)


def write_film(path, frames=40, size=(64, 48), audio=True):
    """A film at 30000/1001 with a tone."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", Fraction(30000, 1001), time_base=Fraction(1, 30000))
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        sound = output.add_stream("aac", 48000) if audio else None
        for i in range(frames):
            rgb = np.full((size[1], size[0], 3), 40 + 3 * i % 160, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = 1001 * i, Fraction(1, 30000)
            output.mux(video.encode(frame))
        if audio:
            tone = np.sin(np.arange(int(48000 * frames * 1001 / 30000)) / 20).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
            frame.sample_rate, frame.pts = 48000, 0
            output.mux(sound.encode(frame))
        for stream in output.streams:
            output.mux(stream.encode(None))


def audio_payload(path):
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(film.streams.audio[0]) if packet.size]


def run(*arguments):
    """The command in this process: its exit status."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


@pytest.mark.slow
def test_a_film_keeps_frames_rate_length_and_sound(tmp_path, brighter):
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_film(source)
    assert run(source, result, f"--model={brighter}") == 0
    with FilmReader(source) as before, FilmReader(result) as after:
        assert after.rate == Fraction(30000, 1001)
        pairs = list(zip(before, after, strict=True))
        for a, b in pairs:
            assert a.pts * before.time_base == b.pts * after.time_base
            assert abs((b.rgb.astype(float) - a.rgb).mean() - 51) < 2
    assert audio_payload(source) == audio_payload(result)
    with av.open(str(source)) as before, av.open(str(result)) as after:
        assert abs(before.duration - after.duration) < av.time_base * 1001 / 30000
        assert after.metadata["comment"] == "Stylized with jaxstyle, model brighter"


@pytest.mark.slow
def test_strength_size_and_max_frames(tmp_path, brighter):
    source, result = tmp_path / "in.mp4", tmp_path / "out.mkv"
    write_film(source)
    options = ["--strength=0.5", "--size=32x48", "--max_frames=10"]
    assert run(source, result, f"--model={brighter}", *options) == 0
    with FilmReader(source) as before, FilmReader(result) as after:
        assert after.size == (32, 48)
        assert after.sample_aspect_ratio == 2  # 64x48 on the screen, as before
        frames = list(after)
        assert len(frames) == 10
        assert abs((frames[5].rgb.mean() - list(before)[5].rgb.mean()) - 25.5) < 2
    assert 0 < len(audio_payload(result)) < len(audio_payload(source)) / 2


def test_folders_keep_names_and_pixels(tmp_path, identity, capsys):
    folder, result = tmp_path / "photos", tmp_path / "stylized"
    folder.mkdir()
    for seed, name in enumerate(["one.png", "two.png"]):
        Image.fromarray(picture(seed)).save(folder / name)
    (folder / "broken.png").write_bytes(b"broken")
    assert run(folder, result, f"--model={identity}") == 0
    assert sorted(path.name for path in result.iterdir()) == ["one.png", "two.png"]
    np.testing.assert_array_equal(read_image(result / "two.png"), picture(1))
    assert "1 images could not be read" in capsys.readouterr().err


def test_a_picture_keeps_its_transparency(tmp_path, identity):
    rgba = np.dstack([picture(), np.tile(np.linspace(0, 255, 42).astype(np.uint8), (30, 1))])
    Image.fromarray(rgba).save(tmp_path / "in.png")
    assert run(tmp_path / "in.png", tmp_path / "out.png", f"--model={identity}") == 0
    with Image.open(tmp_path / "out.png") as image:
        result = np.asarray(image).astype(int)
        assert image.text["Comment"] == "Stylized with jaxstyle, model identity"
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    solid = rgba[..., 3] > 128
    np.testing.assert_allclose(result[solid], rgba[solid].astype(int), atol=1)


@pytest.mark.slow
def test_images_become_a_film_and_a_film_images(tmp_path, identity):
    (tmp_path / "photos").mkdir()
    for seed in range(5):
        Image.fromarray(np.full((32, 48, 3), 40 * seed, np.uint8)).save(
            tmp_path / "photos" / f"{seed}.png"
        )
    film, frames = tmp_path / "film.mp4", tmp_path / "frames"
    assert run(tmp_path / "photos", film, f"--model={identity}", "--fps=30000/1001") == 0
    assert run(film, frames, f"--model={identity}") == 0
    names = sorted(path.name for path in frames.iterdir())
    assert names == [f"frame_{i:06d}.png" for i in range(1, 6)]
    for seed, name in enumerate(names):
        assert abs(read_image(frames / name).mean() - 40 * seed) < 2
    with FilmReader(film) as written:
        assert written.rate == Fraction(30000, 1001)


def test_nothing_is_overwritten_unasked_and_a_source_never(tmp_path, identity, capsys):
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_film(source, frames=5, audio=False)
    result.write_bytes(b"precious")
    before = source.read_bytes()
    assert run(source, result, f"--model={identity}") == 1
    assert result.read_bytes() == b"precious"
    assert run(source, source, f"--model={identity}", "--overwrite") == 1
    assert source.read_bytes() == before
    Image.fromarray(picture()).save(tmp_path / "a.png")
    assert run(tmp_path / "*.png", tmp_path, f"--model={identity}", "--overwrite") == 1
    assert run(source, result, f"--model={identity}", "--overwrite") == 0
    errors = capsys.readouterr().err.splitlines()
    assert "--overwrite replaces it" in errors[0]
    assert "is the source itself" in errors[1]
    assert "folder of the source images" in errors[2]


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    middle = bytes(byte ^ 0x5A for byte in data[len(data) // 3 : len(data) // 2])
    return data[: len(data) // 3] + middle + data[len(data) // 2 :]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped, lambda _: b"", lambda _: b"text\n" * 500])
def test_broken_films_are_one_line_and_leave_nothing(tmp_path, identity, capsys, damage):
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    rng = np.random.default_rng(0)
    with FilmWriter(source, time_base=Fraction(1, 25), rate=Fraction(25)) as writer:
        for i in range(30):
            writer.write(Frame(rng.integers(0, 256, (48, 64, 3), np.uint8), i, 1))
        writer.finish()
    source.write_bytes(damage(source.read_bytes()))
    assert run(source, result, f"--model={identity}") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert str(source) in errors[0]
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_several_sinks_at_once_and_a_report(tmp_path, brighter, capsys):
    source, report = tmp_path / "in.mp4", tmp_path / "report.json"
    write_film(source, frames=12)
    outputs = [tmp_path / "out.mp4", tmp_path / "out.mkv", f"{tmp_path}/frames/"]
    options = [f"--sink={outputs[1]}", f"--sink={outputs[2]}", "--sink=null"]
    assert run(source, outputs[0], *options, f"--report={report}", f"--model={brighter}") == 0
    for output in outputs[:2]:
        with FilmReader(output) as film:
            assert len(list(film)) == 12
    assert len(list((tmp_path / "frames").iterdir())) == 12
    metrics = json.loads(report.read_text())
    assert metrics["frames"]["in"] == metrics["frames"]["out null"] == 12
    assert metrics["stages"]["stylize"]["count"] == 12
    assert "12 frames, " in capsys.readouterr().err


@pytest.mark.slow
def test_pictures_are_watched_or_written_and_originals_stay(tmp_path, identity, capsys):
    (tmp_path / "photos").mkdir()
    original = tmp_path / "photos" / "a.png"
    Image.fromarray(picture()).save(original)
    before = original.read_bytes()
    photos = f"{tmp_path}/photos/"
    options = [f"--sink={photos}", "--overwrite", f"--model={identity}"]
    assert run(photos, "http://:0", *options) == 1
    assert "pictures that are watched come again and again" in capsys.readouterr().err
    assert original.read_bytes() == before
    assert run(photos, f"{tmp_path}/http_out/", f"--model={identity}") == 0
    assert [path.name for path in (tmp_path / "http_out").iterdir()] == ["a.png"]


def test_a_sink_is_needed_and_each_once(tmp_path, identity, capsys):
    write_film(tmp_path / "in.mp4", frames=5)
    assert run(tmp_path / "in.mp4", f"--model={identity}") == 1
    assert "no SINK" in capsys.readouterr().err
    assert run(tmp_path / "in.mp4", "null", "--sink=null", f"--model={identity}") == 1
    assert "null is named twice" in capsys.readouterr().err


def wait_for_mean(url, level):
    """Waits until the picture shown at `url` has this mean."""
    deadline = time.monotonic() + 30
    mean = None
    while mean is None or abs(mean - level) > 3:
        assert time.monotonic() < deadline, f"the picture's mean is {mean}, not {level}"
        # Until the first picture, there is none to give.
        with (
            contextlib.suppress(urllib.error.HTTPError),
            urllib.request.urlopen(f"{url}snapshot.jpg", timeout=10) as answer,
        ):
            mean = np.asarray(Image.open(answer)).mean()
        time.sleep(0.05)


@pytest.mark.slow
def test_a_picture_that_is_watched_stays_and_takes_controls(tmp_path, identity, brighter):
    """The picture goes to a browser, in the first of two styles, then in the second."""
    Image.fromarray(picture(0, 32, 48)).save(tmp_path / "in.png")
    models = [f"--model={identity}", f"--model={brighter}"]
    command = [sys.executable, "-m", "jaxstyle.stylize", tmp_path / "in.png", "http://:0", *models]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        try:
            url = next(line for line in job.stderr if "http://" in line).split()[-1]
            wait_for_mean(url, picture(0, 32, 48).mean())
            request = urllib.request.Request(
                f"{url}controls",
                json.dumps({"style": "brighter"}).encode(),
                {"Content-Type": "application/json"},
            )
            urllib.request.urlopen(request, timeout=10).close()
            wait_for_mean(url, picture(0, 32, 48).mean() + 51)
            job.send_signal(signal.SIGTERM)
            errors = job.communicate(timeout=30)[1]
        finally:
            job.kill()
    assert job.returncode == 0
    assert "frames, " in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.mp4", "out.xyz"], "cannot write .xyz"),
        (["in.mp4", "out.png"], "holds one picture"),
        (["in.mp4", "nowhere/out.mp4"], "no folder"),
        (["in.mp4", "out.webm"], "cannot hold the aac audio"),
        (["missing.mp4", "out.mp4"], "nothing at missing.mp4"),
        (["in.mp4", "windw"], "no sink named windw; a new folder is written windw/"),
        (["in.mp4", "http:8000"], "one for browsers is http or http://HOST:PORT"),
        (["in.mp4", "https://localhost"], "one for browsers is http or http://HOST:PORT"),
        (["in.mp4", "null", "--report=nowhere/report.json"], "no folder nowhere"),
        (["99999999999", "null"], "camera 99999999999 cannot be opened"),
        (["in.mp4", "null", "--smoothing=1"], "it must be a number between 0 and 0.9"),
    ],
)
def test_what_cannot_work_is_refused_in_words(
    tmp_path, identity, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    write_film("in.mp4", frames=5)
    assert run(*arguments, f"--model={identity}") == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--strength=2", "2 is not a number between 0 and 1"),
        ("--strength=abc", "abc is not a number between 0 and 1"),
        ("--size=640", "640 is not of the form 640x360"),
        ("--max_frames=0", "0 is not a whole number"),
        ("--max_frames=x", "x is not a whole number"),
        ("--fps=0", "0 is not a rate"),
        ("--fps=x", "x is not a rate"),
    ],
)
def test_bad_options_are_refused(identity, capsys, option, message):
    assert run("in.mp4", "out.mp4", f"--model={identity}", option) == 2
    assert message in capsys.readouterr().err


def test_frames_that_do_not_fit_into_memory_are_one_line(tmp_path, capsys, monkeypatch, identity):
    def full(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 38 GB.")

    monkeypatch.setattr(Stylizer, "step", full)
    Image.fromarray(picture()).save(tmp_path / "in.png")
    assert run(tmp_path / "in.png", tmp_path / "out.png", f"--model={identity}") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors == ["error: frames of this size do not fit into memory; give a smaller --size"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_film_leaves_nothing(tmp_path, identity, stop, status):
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_film(source, frames=500, size=(320, 240))
    command = [sys.executable, "-m", "jaxstyle.stylize", source, result, f"--model={identity}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        while not list(tmp_path.glob(".out*")) and job.poll() is None:
            time.sleep(0.02)
        job.send_signal(stop)
        errors = job.communicate()[1]
    assert job.returncode == status
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == [source]
