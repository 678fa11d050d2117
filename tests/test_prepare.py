"""The whole command on small films that are rendered here: what is in them is known."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageDraw, ImageFont

from jaxstyle.commands.run_prepare import slurm_shard
from jaxstyle.data.scenes import Scenes
from jaxstyle.data.sources import open_source
from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmWriter, Frame
from jaxstyle.media.images import read_image
from jaxstyle.preparation.film_frames import output_size
from jaxstyle.prepare import main

pytestmark = pytest.mark.slow

RATE = 12
WIDTH, HEIGHT, BAR = 160, 120, 16
PICTURES = list(Scenes("cel", count=6, size=(HEIGHT - 2 * BAR, WIDTH)))


def shot(picture, frames=RATE, sharp=RATE // 2, scale=1.0):
    """Frames of one picture that are blurred, but for one, between black bars."""
    result = []
    for i in range(frames):
        inner = picture if i == sharp else cv2.GaussianBlur(picture, (0, 0), 1.5)
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[BAR:-BAR] = inner * scale
        result.append(frame)
    return result


def credits_page():
    page = Image.new("RGB", (WIDTH * 4, (HEIGHT - 2 * BAR) * 4))
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    for i, line in enumerate(["Directed by A. Guy", "Music C. Schumann", "Sound D. Derbyshire"]):
        ImageDraw.Draw(page).text((60, 40 + 90 * i), line, "white", ImageFont.truetype(font, 48))
    return np.asarray(page.resize((WIDTH, HEIGHT - 2 * BAR), Image.Resampling.BOX))


def write(path, frames, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = {"time_base": Fraction(1, RATE), "rate": Fraction(RATE)}
    with FilmWriter(path, **clock, **options) as film:
        for i, frame in enumerate(frames):
            film.write(Frame(frame, pts=i, duration=1))
        film.finish()
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_status:
        run(*arguments)
    assert exit_status.value.code == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    return error[0]


def manifest_of(out):
    return json.loads((out / "manifest.json").read_text())


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two films of one name; a copy of the first; one that is broken."""
    folder = tmp_path_factory.mktemp("films")
    black, fade = np.zeros_like(PICTURES[0]), np.linspace(1, 0, 2 * RATE)
    frames = shot(credits_page()) + shot(black) + shot(PICTURES[0]) + shot(PICTURES[1])
    # A return to the first picture, and one that fades out.
    frames += shot(PICTURES[0]) + shot(PICTURES[2], 2 * RATE)
    frames += [f for s in fade for f in shot(PICTURES[2], 1, scale=s)] + shot(black)
    first = write(folder / "a" / "ep1.mkv", frames)
    write(folder / "b" / "ep1.mkv", shot(PICTURES[3]) + shot(PICTURES[4]))
    (folder / "c").mkdir()
    (folder / "c" / "again.mkv").write_bytes(first.read_bytes())
    (folder / "c" / "torn.mkv").write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    return folder


@pytest.fixture(scope="module")
def prepared(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "set"
    assert run(films, f"--out={out}", "--every=1", "--licence=CC0, made here") == 0
    return out


def test_keeps_the_sharp_frame_of_every_picture_once(prepared):
    frames = manifest_of(prepared)["frames"]
    numbers = [[f["frame"] for f in frames if f["film"] == name] for name in film_names(prepared)]
    half = RATE // 2
    assert numbers[0] == [2 * RATE + half, 3 * RATE + half, 5 * RATE + half]
    assert numbers[1] == [half, RATE + half]


def film_names(out):
    return [film["film"] for film in manifest_of(out)["films"]]


def test_says_what_was_dropped_and_why(prepared):
    film = manifest_of(prepared)["films"][0]
    assert film["dropped"]["text"] == 1
    assert film["dropped"]["black"] >= 1
    assert film["dropped"]["fade"] >= 1
    assert film["dropped"]["duplicate"] >= 2
    assert set(film["dropped"]) == {"text", "black", "fade", "duplicate"}
    for name in film_names(prepared):
        for sheet in ("kept.jpg", "dropped.jpg"):
            assert read_image(prepared / "films" / name / sheet).ndim == 3


def test_the_data_set_holds_the_pictures_without_bars_in_the_order_of_the_manifest(prepared):
    frames = manifest_of(prepared)["frames"]
    source = tfds.builder_from_directory(prepared).as_data_source("train")
    assert len(source) == len(frames) == 5
    for example, frame in zip(source, frames, strict=True):
        assert example["film"].decode() == frame["film"]
        assert example["frame"] == frame["frame"]
        assert example["time"] == pytest.approx(frame["frame"] / RATE, abs=1e-3)
        height, width = example["image"].shape[:2]
        assert [width, height] == frame["size"] == frame["crop"][2:]
        assert width == WIDTH
        assert HEIGHT - 2 * BAR - 4 <= height <= HEIGHT - 2 * BAR
    for image, picture in zip(open_source(f"tfds:{prepared}", size=64), PICTURES, strict=False):
        rows = (picture.shape[0] - image.shape[0]) // 2
        picture = picture[rows : rows + image.shape[0]]
        assert np.abs(image.astype(int) - picture).mean() < 12


def test_names_do_not_collide_and_what_is_no_film_of_its_own_is_skipped(prepared, films):
    names = film_names(prepared)
    assert len(set(names)) == 2
    assert all(name.startswith("ep1-") for name in names)
    manifest = manifest_of(prepared)
    reasons = {Path(film["path"]).name: film["reason"] for film in manifest["skipped"]}
    assert str(films / "a" / "ep1.mkv") in reasons["again.mkv"]
    assert "damaged near frame" in reasons["torn.mkv"]
    assert manifest["licence"] == "CC0, made here"
    assert manifest["films"][0]["fps"] == str(RATE)
    assert [start for start, _ in manifest["films"][1]["shots"]] == [0, RATE]


def test_several_processes_and_shards_make_the_same_bytes(prepared, films, tmp_path, capsys):
    common = [films, "--every=1", "--licence=CC0, made here"]
    assert run(*common, f"--out={tmp_path / 'jobs'}", "--jobs=2") == 0
    assert contents(tmp_path / "jobs") == contents(prepared)
    out = f"--out={tmp_path / 'shards'}"
    for shard in range(2):
        assert run(*common, out, f"--shard={shard}/2") == 0
        assert not (tmp_path / "shards" / "dataset_info.json").exists()
    assert run(*common, out) == 0
    made = contents(tmp_path / "shards")
    # The copy is in a shard of its own, which does not know of the original.
    assert {k: v for k, v in made.items() if "again" not in str(k)} == contents(prepared)


def test_further_films_do_not_touch_what_is_done(films, tmp_path):
    out = tmp_path / "set"
    assert run(films / "b", f"--out={out}", "--every=1") == 0
    done = {path: path.stat().st_mtime_ns for path in (out / "films").rglob("*.*")}
    assert run(films / "b", films / "a", f"--out={out}", "--every=1") == 0
    # Named by its folder alone, it is not taken for the contact sheets in there.
    assert len(open_source(str(out), size=64)) == len(open_source(f"tfds:{out}", size=64)) == 5
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    # Nothing is missing: nothing is written.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run(films / "b", films / "a", f"--out={out}", "--every=1") == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_contact_sheets_are_not_taken_for_frames(prepared, films, tmp_path, monkeypatch):
    sheets = prepared / "films"
    for part in (sheets, sheets / film_names(prepared)[0], sheets / "*" / "kept.jpg"):
        with pytest.raises(UserError, match=f"contact sheets.* give tfds:{prepared}$"):
            open_source(str(part), size=64)
    monkeypatch.chdir(sheets)
    with pytest.raises(UserError, match=f"contact sheets.* give tfds:{prepared}$"):
        open_source(".", size=64)
    # Not a data set yet.
    assert run(films / "b", f"--out={tmp_path / 'set'}", "--shard=0/2") == 0
    with pytest.raises(UserError, match="finish it"):
        open_source(str(tmp_path / "set"), size=64)
    # Pictures of one's own may be called so.
    (tmp_path / "mine").mkdir()
    Image.fromarray(PICTURES[0]).save(tmp_path / "mine" / "kept.jpg")
    assert len(open_source(str(tmp_path / "mine"), size=64)) == 1


def test_a_film_whose_name_is_not_utf_8(films, tmp_path):
    names = [os.fsdecode(name) for name in (b"bad\xff name.mkv", b"torn\xff.mkv")]
    for name, film in zip(names, ("b/ep1.mkv", "c/torn.mkv"), strict=True):
        shutil.copy(films / film, tmp_path / name)
    out = tmp_path / "set"
    command = [sys.executable, "-m", "jaxstyle.prepare", *(tmp_path / name for name in names)]
    subprocess.run([*command, f"--out={out}", "--every=1"], check=True)
    (name,) = film_names(out)
    assert name.startswith("bad? name-")
    manifest = manifest_of(out)
    assert manifest["films"][0]["path"] == str(tmp_path / "bad? name.mkv")
    assert "torn?.mkv" in manifest["skipped"][0]["reason"]
    assert len(open_source(f"tfds:{out}", size=64)) == 2


def test_what_a_killed_run_left_of_a_film_with_brackets_is_removed(films, tmp_path):
    film, out = tmp_path / "ep[1] *.mkv", tmp_path / "set"
    shutil.copy(films / "b" / "ep1.mkv", film)
    assert run(film, f"--out={out}", "--every=1") == 0
    (name,) = film_names(out)
    (out / "films" / f".{name}.host-1.partial").mkdir()
    # As the pattern that the name would be.
    other = out / "films" / f".{name.replace('[1] *', '1 other')}.host-1.partial"
    other.mkdir()
    assert run(film, f"--out={out}", "--every=1") == 0
    assert list((out / "films").glob(".*.partial")) == [other]


def test_other_options_are_refused_unless_one_begins_anew(films, tmp_path, capsys):
    out = f"--out={tmp_path / 'set'}"
    assert run(films / "b", out, "--every=1") == 0
    error = refusal(capsys, films / "b", out, "--every=1", "--size=64")
    assert "size was None, is 64" in error
    assert "--fresh" in error
    assert len(open_source(f"tfds:{tmp_path / 'set'}", size=64)) == 2
    assert run(films / "b", out, "--size=64", "--format=png", "--fresh") == 0
    images = open_source(f"tfds:{tmp_path / 'set'}", size=64)
    assert {min(image.shape[:2]) for image in images} == {64}


def test_anamorphic_films_get_square_pixels(tmp_path):
    wide = [picture for picture in PICTURES[:1] for _ in range(RATE)]
    film = write(tmp_path / "dvd.mkv", wide, sample_aspect_ratio=Fraction(4, 3))
    assert run(film, f"--out={tmp_path / 'set'}") == 0
    (frame,) = manifest_of(tmp_path / "set")["frames"]
    assert frame["size"] == [round(WIDTH * 4 / 3), HEIGHT - 2 * BAR]


def test_sizes():
    assert output_size((720, 576), 16 / 15, None) == (768, 576)
    assert output_size((720, 480), 8 / 9, None) == (720, 540)
    assert output_size((1920, 800), 1.0, 400) == (960, 400)
    assert output_size((640, 360), 1.0, 720) == (640, 360)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    """Takes a second or more, so that it can be interrupted."""
    frames = [frame for picture in PICTURES * 6 for frame in shot(picture)]
    return write(tmp_path_factory.mktemp("long") / "long.mkv", frames)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_stopped_goes_on_with_the_same_result(films, long_film, tmp_path, signum):
    out = tmp_path / "set"
    command = [films / "b", long_film]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxstyle.prepare", *command, f"--out={out}", "--jobs=2"],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("films/.long*.partial")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signum)
    status = process.wait(60)
    if signum == signal.SIGKILL:
        assert status == -signum
    else:
        assert status == 128 + signum
        assert not list(out.glob("films/.*.partial"))
    assert not list(out.glob("films/long*"))
    assert run(*command, f"--out={out}") == 0
    assert run(*command, f"--out={tmp_path / 'whole'}") == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_refuses_what_makes_no_data_set(films, tmp_path, capsys):
    assert "no films there" in refusal(capsys, tmp_path / "*.mkv", f"--out={tmp_path / 'set'}")
    torn = films / "c" / "torn.mkv"
    assert "none of 1 films can be read" in refusal(capsys, torn, f"--out={tmp_path / 'set'}")
    black = write(tmp_path / "black.mkv", [np.zeros((64, 64, 3), np.uint8)] * RATE)
    assert "worth keeping" in refusal(capsys, black, f"--out={tmp_path / 'other'}")
    assert not (tmp_path / "other" / "dataset_info.json").exists()


def test_refuses_folders_and_options_that_make_no_sense(films, tmp_path, capsys):
    film = films / "b"
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    assert "something else" in refusal(capsys, film, f"--out={tmp_path}", "--fresh")
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"
    assert "is a file" in refusal(capsys, film, f"--out={tmp_path / 'photo.jpg'}")
    out = f"--out={tmp_path / 'set'}"
    assert "PNG has none" in refusal(capsys, film, out, "--format=png", "--quality=90")
    assert "other shards" in refusal(capsys, film, out, "--fresh", "--shard=0/2")
    assert not (tmp_path / "set").exists()
    not_utf_8 = ("--licence=\udcff", f"--out={tmp_path}/\udcff")
    for bad in ("--every=0", "--shard=2/2", "--quality=101", "--duplicates=64", *not_utf_8):
        with pytest.raises(SystemExit):
            run(film, out, bad)
    assert not (tmp_path / "set").exists()


def array(task, first, last, step, count):
    values = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def test_tasks_of_a_slurm_array_take_the_shards_in_turn():
    assert slurm_shard({}) is None
    assert slurm_shard(array(0, 0, 9, 1, 10)) == (0, 10)
    assert [slurm_shard(array(i, 3, 11, 4, 3)) for i in (3, 7, 11)] == [(0, 3), (1, 3), (2, 3)]
    with pytest.raises(UserError, match="evenly spaced"):
        slurm_shard(array(5, 1, 5, 1, 3))


def test_a_task_of_an_array_prepares_its_share_alone(films, tmp_path, monkeypatch):
    for name, value in array(1, 0, 1, 1, 2).items():
        monkeypatch.setitem(os.environ, name, value)
    out = tmp_path / "set"
    assert run(films / "a", films / "b", f"--out={out}", "--every=1") == 0
    assert len(list((out / "films").glob("ep1-*"))) == 1
    assert not (out / "dataset_info.json").exists()


def test_keeps_few_frames_of_real_films_all_of_them_pictures(media, tmp_path):
    names = ("bbb_cutBunny.mp4", "moviepy_chaplin.mp4")
    assert run(*(media / "video/real" / name for name in names), f"--out={tmp_path / 'set'}") == 0
    manifest = manifest_of(tmp_path / "set")
    bunny, chaplin = manifest["films"]
    assert 3 <= bunny["kept"] <= 6
    assert 2 <= chaplin["kept"] <= 6
    assert [len(film["shots"]) for film in manifest["films"]] == [2, 1]
    images = open_source(f"tfds:{tmp_path / 'set'}?split=train[-1:]", size=64)
    assert images[0].shape[0] == 360
    assert 490 <= images[0].shape[1] <= 500
