import pickle

import av
import numpy as np
import pytest
from PIL import Image

from jaxstyle.data.pairs import align, key_frames
from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageFiles


def flat(value):
    return np.full((16, 16, 3), value, np.uint8)


def folder_of(folder, images):
    """A source of flat images; images: {file name: value}."""
    folder.mkdir()
    for name, value in images.items():
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(flat(value)).save(folder / name)
    return ImageFiles(folder)


def film_of(path, values):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "0"})
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv444p"
        for value in values:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(flat(value))))
        container.mux(stream.encode())
    return VideoFrames(path)


def values(source):
    return [round(image.mean() / 10) * 10 for image in source]


def test_sources_of_one_length_stay_as_they_are():
    content, style = [flat(1), flat(2)], [flat(3), flat(4)]
    assert align(content, style) == (content, style)


def test_painted_frames_find_theirs_by_name(tmp_path):
    content = folder_of(tmp_path / "frames", {f"{i:03}.png": 10 * i for i in range(6)})
    style = folder_of(tmp_path / "painted", {"more/001.bmp": 110, "004.png": 140})
    found, painted = align(content, style)
    assert len(found) == len(painted) == 2
    assert values(found) == [10, 40]
    assert values(painted) == [110, 140]
    # And the other way round.
    painted, found = align(style, content)
    assert dict(zip(values(painted), values(found), strict=True)) == {140: 40, 110: 10}
    copy = pickle.loads(pickle.dumps(found))
    assert values(copy) == values(found)


def test_painted_frames_of_a_film_find_theirs_by_number(tmp_path):
    film = film_of(tmp_path / "film.mp4", range(0, 120, 10))
    painted = folder_of(tmp_path / "painted", {"key_0007.png": 170, "key_3.png": 130})
    content, style = align(film, painted)
    assert values(content) == [30, 70]
    assert values(style) == [130, 170]
    assert values(pickle.loads(pickle.dumps(content))) == [30, 70]

    later = folder_of(tmp_path / "later", {"key_12.png": 0})
    with pytest.raises(UserError, match=r"no partner among the 12 others: 12; .* 0, 1, 2 \.\.\."):
        align(film, later)
    nameless = folder_of(tmp_path / "nameless", {"hero.png": 0})
    with pytest.raises(UserError, match=r"hero: .* at the end of its name"):
        align(film, nameless)


def test_what_does_not_match_is_named(tmp_path):
    content = folder_of(tmp_path / "frames", {f"{i:03}.png": i for i in range(6)})
    style = folder_of(tmp_path / "painted", {"001.png": 0, "tree.png": 0, "house.png": 0})
    with pytest.raises(UserError, match=r"of 3, 2 have no partner .* house, tree; .* 000, 001"):
        align(content, style)
    twice = folder_of(tmp_path / "twice", {"001.png": 0, "more/001.png": 0})
    with pytest.raises(UserError, match="001 occur twice"):
        align(content, twice)


def test_sources_without_names_must_be_of_one_length(tmp_path):
    with pytest.raises(UserError, match="got 2 content and 3 style"):
        align([flat(0)] * 2, [flat(0)] * 3)
    films = [film_of(tmp_path / f"{count}.mp4", [0] * count) for count in (2, 3)]
    with pytest.raises(UserError, match="got 2 content and 3 style"):
        align(*films)


def test_key_frames_are_evenly_spaced():
    source = [flat(10 * i) for i in range(10)]
    assert values(key_frames(source, 4)) == [0, 30, 60, 90]
    assert values(key_frames(source, 1)) == [0]
    assert values(key_frames(source, 10)) == values(source)
    with pytest.raises(IndexError):
        key_frames(source, 4)[4]
    for count in (0, 11):
        with pytest.raises(UserError, match=f"cannot take {count} key frames of 10"):
            key_frames(source, count)


def test_key_frames_of_the_content_take_the_same_of_the_style():
    content, style = [flat(i) for i in range(10)], [flat(100 + 10 * i) for i in range(10)]
    found, partners = align(key_frames(content, 4), style)
    assert len(found) == 4
    assert values(partners) == [100, 130, 160, 190]


def test_names_that_agree_in_part_decide_also_between_folders_of_one_length(tmp_path):
    """By position, each would be paired with the picture before its own."""
    content = folder_of(tmp_path / "content", {f"{i}.png": 10 * i for i in (1, 2, 3)})
    style = folder_of(tmp_path / "style", {f"{i}.png": 100 + 10 * i for i in (2, 3, 4)})
    with pytest.raises(UserError, match="1"):
        align(content, style)
    unrelated = folder_of(tmp_path / "other", {f"{name}.png": 50 for name in "abc"})
    assert align(content, unrelated) == (content, unrelated)
