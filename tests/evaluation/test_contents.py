import shutil
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError
from jaxstyle.evaluation.contents import (
    FEWEST_FRAMES,
    Content,
    check_content,
    check_style,
    open_content,
    open_style,
    unique_names,
)
from jaxstyle.evaluation.footage import LONG_SPAN, SHORT_SPAN, Footage
from jaxstyle.evaluation.held_out import held_out_clips
from jaxstyle.media.film import FilmWriter, Frame

RATE = Fraction(25)


def write_film(path, frames, size=(96, 64)):
    """Frame i is grey of level 8 i; size: (width, height)."""
    with FilmWriter(path, time_base=1 / RATE, rate=RATE) as film:
        for i in range(frames):
            film.write(Frame(np.full((*size[::-1], 3), 8 * i, np.uint8), i, 1))
        film.finish()
    return path


def write_picture(path, level, size=(80, 70)):
    Image.fromarray(np.full((*size[::-1], 3), level, np.uint8)).save(path)


def opened(path, size=64, frames=12, count=3):
    return open_content(str(path), size=size, frames=frames, count=count)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("films") / "clip [1080p].mp4", 30)


def test_a_film_gives_the_frames_of_its_middle_and_their_motion(film):
    content = opened(film)
    (clip,) = content.clips
    assert clip.frames.shape == (12, 64, 96, 3)
    levels = clip.frames.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, 8 * np.arange(9, 21), atol=1.5)
    assert content.moves
    assert not content.has_truth
    assert content.size == (64, 96)
    short, long = clip.motions
    assert (short.span, short.first) == (SHORT_SPAN, tuple(range(11)))
    assert (long.span, long.first) == (LONG_SPAN, (0, 1, 2, 3))
    assert short.flow.shape == (11, 64, 96, 2)


def test_a_long_film_is_not_decoded_from_its_beginning(film, monkeypatch):
    asked = []
    get = VideoFrames.__getitem__
    monkeypatch.setattr(VideoFrames, "__getitem__", lambda f, i: asked.append(i) or get(f, i))
    opened(film)
    assert min(asked) == 9
    assert max(asked) == 20


def test_a_film_is_shrunk_and_never_enlarged(tmp_path):
    portrait = write_film(tmp_path / "portrait.mp4", FEWEST_FRAMES, (80, 160))
    frames = opened(portrait).clips[0].frames
    assert frames.shape == (FEWEST_FRAMES, 128, 64, 3)
    assert opened(portrait, size=500).size == (160, 80)


def test_a_film_is_one_under_any_extension(film, tmp_path):
    shutil.copy(film, tmp_path / "clip.recording")
    content = opened(tmp_path / "clip.recording")
    assert content.moves
    assert content.name == "clip.recording"


def test_what_cannot_be_used_is_told_before_and_when_it_is_opened(film, tmp_path):
    refused = {
        write_film(tmp_path / "short.mp4", 9): r"has too few frames, 9; 10 or more are needed",
        write_film(tmp_path / "small.mp4", 10, (96, 48)): r"is 96x48; 64 pixels or more",
        film.parent: r"holds films; give each as a content by itself",
        tmp_path / "nothing": r"no such source",
        tmp_path / "broken.mp4": r"broken\.mp4",
    }
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    for path, message in refused.items():
        for open_it in (lambda path: check_content(str(path)), opened):
            with pytest.raises(UserError, match=message) as raised:
                open_it(path)
            assert "\n" not in str(raised.value)
    check_content(str(film))
    check_content("scenes")


def test_pictures_of_any_size_become_squares_evenly_spaced(tmp_path):
    for i, size in enumerate([(70, 90), (200, 100), (30, 30), (64, 64), (90, 80)]):
        write_picture(tmp_path / f"{i}.png", 50 * i, size)
    content = opened(tmp_path)
    (clip,) = content.clips
    assert clip.frames.shape == (3, 64, 64, 3)
    assert [frame.mean() for frame in clip.frames] == [0, 100, 200]
    assert not content.moves
    assert len(opened(tmp_path, count=9).clips[0].frames) == 5


def test_of_a_picture_the_middle_is_taken(tmp_path):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert opened(tmp_path / "wide.png").clips[0].frames.min() == 255


def test_scenes_have_exact_motion_and_truth():
    content = opened("scenes", count=2)
    assert content.has_truth
    assert content.moves
    (expected, _) = held_out_clips(2, LONG_SPAN + 1, 64)
    assert np.array_equal(content.clips[0].truth, expected.truth)
    assert np.array_equal(content.clips[0].motions[1].flow, expected.motions[1].flow)


def test_the_style_is_as_many_squares_as_there_are(tmp_path):
    for i in range(3):
        write_picture(tmp_path / f"{i}.png", i)
    check_style(str(tmp_path))
    assert open_style(str(tmp_path), size=32, count=64).shape == (3, 32, 32, 3)
    assert open_style("scenes", size=32, count=2).shape == (2, 32, 32, 3)
    for open_it in (check_style, lambda spec: open_style(spec, size=32, count=2)):
        with pytest.raises(UserError, match="no such source"):
            open_it(str(tmp_path / "nothing"))


def test_names_are_what_was_named_last(film, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    write_picture(photos / "img1.png", 1)
    names = {
        str(film): "clip [1080p].mp4",
        f"{photos}/": "photos",
        f"{photos}/img?.png": "photos",
        f"{photos}/*.png": "photos",
        "scenes:photo?count=1&size=64": "scenes:photo",
        ".": "photos",
    }
    monkeypatch.chdir(photos)
    for spec, name in names.items():
        assert opened(spec).name == name


def test_names_and_folders_are_told_apart():
    footage = Footage("", np.zeros((1, 64, 64, 3), np.uint8))
    contents = [Content(name, (footage,)) for name in ("a", "a (2)", "a", "b?", "b*", "../..")]
    named = unique_names(contents)
    assert [c.name for c in named] == ["a", "a (2)", "a (3)", "b?", "b* (2)", "../.."]
    assert [c.folder(0) for c in named] == ["a", "a (2)", "a (3)", "b_", "b_ (2)", "_"]
    assert Content("scenes", (footage, footage)).folder(1) == "scenes/001"
