import cv2
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.media.contact_sheet import contact_sheet, write_png

GAP = 4


def test_a_column_for_each_batch_and_a_row_for_each_image():
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 255, (3, 10, 12, 3), np.uint8) for _ in range(2)]
    sheet = contact_sheet(columns)
    assert sheet.shape == (3 * 10 + 2 * GAP, 2 * 12 + GAP, 3)
    assert sheet.dtype == np.uint8
    covered = np.zeros(sheet.shape[:2], bool)
    for c, images in enumerate(columns):
        for r, image in enumerate(images):
            place = slice(r * 14, r * 14 + 10), slice(c * 16, c * 16 + 12)
            np.testing.assert_array_equal(sheet[place], image)
            covered[place] = True
    assert (sheet[~covered] == 255).all()


def test_a_png_reads_back_as_it_was_written(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "new folder" / "sheet.png"
    write_png(path, image)
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, image)
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_a_write_that_fails_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    write_png(path, np.zeros((8, 8, 3), np.uint8))
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match=r"cannot write .*sheet\.png: No space left"):
        write_png(path, np.ones((8, 8, 3), np.uint8))
    assert path.read_bytes() == before
