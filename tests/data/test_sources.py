import logging

import av
import numpy as np
import pytest
from PIL import Image

from jaxstyle.data.loader import make_loader
from jaxstyle.data.sources import open_source
from jaxstyle.errors import UserError


def write_image(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((32, 40, 3), value, np.uint8)).save(path)


def write_film(path, values):
    """A film of flat frames, one grey level each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in values:
            frame = np.full((48, 64, 3), value, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())


def levels(source):
    return [int(image[0, 0].mean()) for image in source]


def test_scenes_take_their_options_from_the_spec():
    photo = open_source("scenes:photo?count=3&first_seed=7", size=64)
    assert len(photo) == 3
    assert photo[0].shape == (64, 64, 3)
    assert photo[0].dtype == np.uint8
    shifted = open_source("scenes:photo?first_seed=8&size=64", size=32, scene_count=2)
    assert len(shifted) == 2
    np.testing.assert_array_equal(photo[1], shifted[0])


def test_one_seed_is_one_scene_in_both_renderings():
    photo = open_source("scenes:photo?count=1&first_seed=3", size=96)[0].astype(float)
    same = open_source("scenes:cel?count=1&first_seed=3", size=96)[0].astype(float)
    others = open_source("scenes:cel?count=4&first_seed=100", size=96)
    distance = np.abs(photo - same).mean()
    assert 1 < distance < min(np.abs(photo - other).mean() for other in others)


def test_scenes_are_kept_in_the_cache_folder(tmp_path):
    first = open_source("scenes:cel?count=2", size=64, cache_dir=tmp_path)
    assert any(tmp_path.iterdir())
    again = open_source("scenes:cel?count=2", size=64, cache_dir=tmp_path)
    np.testing.assert_array_equal(first[1], again[1])


def test_folders_and_globs_of_images(tmp_path):
    for name, value in (("a/1.png", 10), ("a/2.jpg", 20), ("b/3.png", 30)):
        write_image(tmp_path / name, value)
    assert levels(open_source(str(tmp_path), size=64)) == [10, 20, 30]
    assert levels(open_source(f"{tmp_path}/*/*.png", size=64)) == [10, 30]
    assert levels(open_source(f"{tmp_path}/a/?.jpg", size=64)) == [20]
    assert levels(open_source(f"{tmp_path}/b/3.png", size=64)) == [30]


def test_a_film_and_several_films(tmp_path):
    write_film(tmp_path / "a.mp4", [40, 80])
    write_film(tmp_path / "more" / "b.mkv", [120, 160, 200])
    film = open_source(str(tmp_path / "a.mp4"), size=64)
    assert film[0].shape == (48, 64, 3)
    np.testing.assert_allclose(levels(film), [40, 80], atol=4)
    for spec in (tmp_path, f"{tmp_path}/**/*.m*"):
        np.testing.assert_allclose(
            levels(open_source(str(spec), size=64)), [40, 80, 120, 160, 200], atol=4
        )


def test_a_film_under_an_unknown_extension(tmp_path):
    write_film(tmp_path / "clip.mp4", [40, 80])
    (tmp_path / "clip.mp4").rename(tmp_path / "clip.movie")
    assert len(open_source(str(tmp_path / "clip.movie"), size=64)) == 2


def test_broken_films_among_several_are_skipped_and_counted(tmp_path, caplog):
    write_film(tmp_path / "a.mp4", [40])
    write_film(tmp_path / "c.mp4", [80, 120])
    (tmp_path / "b.mp4").write_bytes(b"broken")
    films = open_source(str(tmp_path), size=64)
    np.testing.assert_allclose(levels(films), [40, 80, 120], atol=4)
    assert "skipped 1 broken of 3 films" in caplog.text
    assert "b.mp4" in caplog.text
    (tmp_path / "a.mp4").write_bytes(b"broken")
    (tmp_path / "c.mp4").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"c\.mp4 is not a readable film"):
        open_source(str(tmp_path), size=64)


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    write_image(tmp_path / "art [2024].png", 10)
    write_film(tmp_path / "clip [1080p].mp4", [40, 80])
    assert levels(open_source(str(tmp_path / "art [2024].png"), size=64)) == [10]
    assert len(open_source(str(tmp_path / "clip [1080p].mp4"), size=64)) == 2


def test_option_values_are_taken_literally(monkeypatch):
    monkeypatch.setattr("jaxstyle.data.tfds.TfdsImages", lambda name, **options: options)
    options = open_source("tfds:x?split=trainA+trainB[:50%25]&feature=a=b", size=64)
    assert options == {"split": "trainA+trainB[:50%25]", "feature": "a=b"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("scenes:oil", "photo.*cel"),
        ("scenes:photo?seeds=3", "no option 'seeds'; there are count, first_seed, size"),
        ("scenes:photo?count=many", "count='many' is not a whole number"),
        ("scenes:photo?count", "name=value"),
        ("scenes:photo?count=0", "give 1 or more"),
        ("tfds:", "name a data set"),
        ("tfds:mnist?shuffle=1", "no option 'shuffle'; there are split, feature, data_dir"),
        ("no/such/folder", "no such source; there are scenes:photo.*tfds.*film"),
        ("webcam:0", "no such source"),
    ],
)
def test_a_wrong_spec_says_what_there_is(spec, message):
    with pytest.raises(UserError, match=message):
        open_source(spec, size=64)


def test_folders_that_hold_nothing_or_too_much(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: no images or films"):
        open_source(str(tmp_path), size=64)
    write_image(tmp_path / "1.png", 10)
    write_film(tmp_path / "a.mp4", [40])
    with pytest.raises(UserError, match=r"1 images and 1 films.*\*\.png"):
        open_source(str(tmp_path), size=64)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_every_kind_of_source_feeds_the_loader(tmp_path, workers, caplog):
    write_film(tmp_path / "a.mp4", [40, 80, 120])
    write_image(tmp_path / "images" / "1.png", 10)
    (tmp_path / "images" / "2.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        specs = [str(tmp_path / "a.mp4"), str(tmp_path / "images"), "scenes:cel?count=2"]
        film, images, scenes = (open_source(spec, size=48, cache_dir=tmp_path) for spec in specs)
    for content, style in ((film, images), (scenes, film)):
        loader = make_loader(content, style, batch_size=4, image_size=32, seed=0, workers=workers)
        batch = next(loader)
        loader.close()
        assert batch["content"].shape == batch["style"].shape == (4, 32, 32, 3)
