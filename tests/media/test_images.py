import io
import logging
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageFiles, read_image

# Four flat quadrants: they survive JPEG, and tell every orientation from every other.
QUADRANTS = np.array([[[200, 30, 30], [30, 200, 30]], [[30, 30, 200], [220, 220, 40]]], np.uint8)
PICTURE = QUADRANTS.repeat(24, axis=0).repeat(32, axis=1)


def assert_close(actual, expected, tolerance=6):
    assert actual.dtype == np.uint8
    assert actual.shape == expected.shape
    assert np.abs(actual.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "jpg", "tif", "ppm"])
def test_formats_round_trip(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(PICTURE).save(path)
    assert_close(read_image(path), PICTURE)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "YCbCr", "LA"])
def test_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("picture.jpg" if mode in ("CMYK", "YCbCr") else "picture.png")
    picture = Image.fromarray(PICTURE)
    (picture.quantize(8) if mode == "P" else picture.convert(mode)).save(path)
    grey = np.asarray(Image.fromarray(PICTURE).convert("L"))[..., None].repeat(3, axis=-1)
    if mode == "1":
        assert set(np.unique(read_image(path))) <= {0, 255}
    else:
        assert_close(read_image(path), grey if mode in ("L", "LA") else PICTURE)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_greys_are_scaled_not_clipped(tmp_path, suffix):
    path = tmp_path / f"ramp.{suffix}"
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    Image.fromarray(ramp).save(path)
    expected = np.round(ramp / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path), expected[..., None].repeat(3, axis=-1))


def test_float_greys_are_scaled(tmp_path):
    path = tmp_path / "ramp.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0, 2.0, np.nan]], np.float32)).save(path)
    assert read_image(path)[0, :, 0].tolist() == [0, 128, 255, 255, 0]


def display_p3():
    """An ICC profile: the primaries of Display P3, adapted to D50, and the transfer of sRGB."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    transfer = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
    transfer += fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    points = {b"wtpt": (0.9642, 1.0, 0.8249), b"rXYZ": (0.5151, 0.2412, -0.0011)}
    points |= {b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    tags = {tag: b"XYZ " + bytes(4) + fixed(*xyz) for tag, xyz in points.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), transfer)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value
    head = struct.pack(">4xI4s4s4s12x4s28x", 0x04000000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    body = (head + fixed(0.9642, 1.0, 0.8249)).ljust(124, b"\0") + table + data
    return struct.pack(">I", len(body) + 4) + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_an_embedded_profile_is_applied(tmp_path, mode):
    # CSS Color 4: Display P3 (150, 120, 90) is sRGB (156, 119, 85).
    image = Image.new("RGB", (4, 4), (150, 120, 90))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "p3.png", icc_profile=display_p3())
    np.testing.assert_allclose(read_image(tmp_path / "p3.png")[0, 0], [156, 119, 85], atol=1)


@pytest.mark.parametrize(("mode", "profile"), [("RGB", b"rubbish"), ("L", display_p3())])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path, mode, profile):
    Image.new(mode, (4, 4), 90 if mode == "L" else (90, 90, 90)).save(
        tmp_path / "a.png", icc_profile=profile
    )
    assert (read_image(tmp_path / "a.png") == 90).all()


def test_transparency_is_composited_on_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 128, 255]
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    np.testing.assert_allclose(read_image(tmp_path / "rgba.png")[0, :, 0], [255, 127, 0], atol=1)

    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([9, 9, 9, 70, 80, 90])
    palette.putdata([0, 1])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png").tolist() == [[[255] * 3, [70, 80, 90]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    # The definition in the EXIF standard: what must be done to the stored rows to see them upright.
    stored_from_upright = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(stored_from_upright[orientation](PICTURE))
    Image.fromarray(stored).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    assert_close(read_image(tmp_path / "phone.jpg"), PICTURE)


def test_broken_files_are_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_image(tmp_path / "missing.png")
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(UserError, match=r"text\.jpg: not a readable image"):
        read_image(tmp_path / "text.jpg")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_damaged_bytes_give_pixels_or_a_user_error(format_name):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, format_name)
    sound = buffer.getvalue()
    rng = np.random.default_rng(0)
    for trial in range(60):
        damaged = bytearray(sound[: rng.integers(1, len(sound))] if trial % 2 else sound)
        for position in rng.integers(0, len(damaged), 3):
            damaged[position] ^= 1 << rng.integers(8)
        try:
            image = read_image(io.BytesIO(damaged))
        except UserError:
            continue
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


@pytest.fixture
def folder(tmp_path):
    """Images a, b (in a subfolder) and c, filled with 10, 20 and 30, among other files."""
    (tmp_path / "more").mkdir()
    for name, value in (("a.PNG", 10), ("more/b.png", 20), ("c.png", 30), (".hidden.png", 40)):
        Image.fromarray(np.full((8, 9, 3), value, np.uint8)).save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_is_read_recursively_and_in_sorted_order(folder):
    images = ImageFiles(folder)
    assert [path.name for path in images.paths] == ["a.PNG", "c.png", "b.png"]
    assert [int(image[0, 0, 0]) for image in images] == [10, 30, 20]
    assert images[-1][0, 0, 0] == 20
    with pytest.raises(IndexError):
        images[3]


def test_a_glob_selects(folder):
    assert len(ImageFiles(folder / "*.png")) == 1
    assert len(ImageFiles(f"{folder}/**/*.png")) == 2


def test_broken_files_are_skipped_and_counted_once(folder, caplog):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    (folder / "empty.jpg").touch()
    with caplog.at_level(logging.WARNING):
        images = ImageFiles(folder)
    assert len(images) == 3
    assert sorted(path.name for path in images.skipped) == ["broken.png", "empty.jpg"]
    assert len(caplog.records) == 1
    assert "skipped 2 broken of 5" in caplog.text


def test_a_truncated_jpeg_is_replaced_and_reported_once(tmp_path, caplog):
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.jpg")
    last = tmp_path / "2.jpg"
    last.write_bytes(last.read_bytes()[:-1500])
    images = ImageFiles(tmp_path)
    assert len(images) == 3, "the header alone does not show the damage"
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(images[2], images[0])
    assert caplog.text.count("2.jpg") == 1


def test_a_folder_that_breaks_later_is_an_error(folder):
    images = ImageFiles(folder)
    for path in images.paths:
        path.unlink()
    with pytest.raises(UserError, match="none of its 3 images"):
        images[0]


def test_nothing_there_names_the_place(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*no readable image"):
        ImageFiles(tmp_path)
    with pytest.raises(UserError, match="nowhere"):
        ImageFiles(tmp_path / "nowhere")


def test_pickles_for_worker_processes(folder):
    copy = pickle.loads(pickle.dumps(ImageFiles(folder)))
    assert [int(image[0, 0, 0]) for image in copy] == [10, 30, 20]


def test_real_photographs(media):
    images = ImageFiles(media / "photos")
    assert len(images) > 100
    assert images.skipped == []
    for index in range(0, len(images), 50):
        image = images[index]
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.std() > 5
