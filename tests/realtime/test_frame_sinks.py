import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.media.image_writer import writable_name, write_image
from jaxstyle.media.images import read_image
from jaxstyle.realtime.frame_sinks import (
    FolderSink,
    ImageSink,
    NullSink,
)
from jaxstyle.realtime.frame_sources import ImageFrame
from jaxstyle.realtime.http import HttpSink
from jaxstyle.realtime.virtual import VirtualCameraSink
from jaxstyle.realtime.window import WindowSink

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
ALPHA = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (12, 1))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_lossless_formats_are(tmp_path, name):
    write_image(tmp_path / name, RGB)
    np.testing.assert_array_equal(read_image(tmp_path / name), RGB)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_transparency_is_kept_and_looks_the_same_on_white(tmp_path, name):
    smooth = np.full((12, 16, 3), 200, np.uint8)
    on_white = np.rint(255 - (255.0 - smooth) * ALPHA[..., None] / 255).astype(np.uint8)
    write_image(tmp_path / name, on_white, ALPHA)
    with Image.open(tmp_path / name) as image:
        if name != "a.jpg":
            np.testing.assert_array_equal(np.asarray(image.getchannel("A")), ALPHA)
    np.testing.assert_allclose(
        read_image(tmp_path / name).astype(int), on_white.astype(int), atol=4
    )


def test_what_made_the_image_is_written_into_it(tmp_path):
    comment = "Stylized with jaxstyle, model ink"
    for name in ["a.png", "a.jpg", "a.webp", "a.tif"]:
        write_image(tmp_path / name, RGB, comment=comment)
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["Comment"] == comment
    for name in ["a.jpg", "a.webp", "a.tif"]:
        with Image.open(tmp_path / name) as image:
            assert image.getexif()[0x010E] == comment


def test_a_folder_keeps_names_and_numbers_the_frames_of_films(tmp_path):
    with FolderSink(tmp_path / "new", "") as sink:
        sink.write(ImageFrame(RGB, 0, 1, "sub/photo.gif", None))
        sink.write(Frame(RGB, 1, 1))
        sink.finish()
    found = [str(path.relative_to(tmp_path / "new")) for path in tmp_path.rglob("*.png")]
    assert sorted(found) == ["frame_000002.png", "sub/photo.png"]
    assert writable_name("a.JPG") == "a.JPG"


def test_one_image_file_holds_one_picture(tmp_path):
    with ImageSink(tmp_path / "a.png", "") as sink:
        sink.write(Frame(RGB, 0, 1))
        with pytest.raises(UserError, match="one picture"):
            sink.write(Frame(RGB, 1, 1))
    assert not (tmp_path / "a.png").exists()


def test_the_sink_to_nowhere_counts_its_frames():
    with NullSink() as sink:
        for pts in range(3):
            sink.write(Frame(RGB, pts, 1))
        sink.finish()
    assert sink.written == 3


def test_files_want_every_frame_and_viewers_the_newest():
    assert not any(sink.live for sink in (FolderSink, ImageSink, NullSink))
    assert all(sink.live for sink in (WindowSink, HttpSink, VirtualCameraSink))
