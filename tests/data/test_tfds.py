"""On data sets built here, of encoded images: neither TensorFlow nor a network is needed."""

import io
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxstyle.data.sources import open_source
from jaxstyle.data.tfds import TfdsImages
from jaxstyle.errors import UserError

pytest.importorskip("importlib_resources", reason="TFDS prepares data with it, undeclared")


def png(value: int, mode: str = "RGB") -> io.BytesIO:
    buffer = io.BytesIO()
    Image.fromarray(np.full((10, 12, 3), value, np.uint8)).convert(mode).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


class TinyPaintings(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "label": np.int64,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, _):
        return {"trainA": self._generate_examples(0), "trainB": self._generate_examples(100)}

    def _generate_examples(self, first):
        for i in range(5):
            yield i, {"image": png(first + i), "mask": png(50 + i, "L"), "label": i}


class NeedsTensorFlow(TinyPaintings):
    def _generate_examples(self, first):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")


class Offline(TinyPaintings):
    def _split_generators(self, _):
        raise ConnectionError("failed to resolve host\nand many more lines")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    builder = TinyPaintings(data_dir=data_dir)
    builder.download_and_prepare(file_format="array_record")
    return data_dir


def values(images):
    return sorted(int(image[0, 0, 0]) for image in images)


def test_reads_every_image_of_a_split_without_tensorflow(data_dir):
    images = TfdsImages("tiny_paintings", split="trainB", data_dir=data_dir)
    assert len(images) == 5
    assert images[0].shape == (10, 12, 3)
    assert images[0].dtype == np.uint8
    assert values(images) == [100, 101, 102, 103, 104]
    np.testing.assert_array_equal(images[-1], images[4])
    assert "tensorflow" not in sys.modules


def test_a_data_set_that_is_not_there_yet_is_prepared(tmp_path):
    images = TfdsImages("tiny_paintings", split="trainA", data_dir=tmp_path)
    assert values(images) == [0, 1, 2, 3, 4]
    assert list(tmp_path.rglob("*.array_record*"))


def test_the_spec_names_split_slice_and_feature(data_dir):
    spec = f"tfds:tiny_paintings?split=trainA[:40%]&feature=mask&data_dir={data_dir}"
    images = open_source(spec, size=64)
    assert len(images) == 2
    assert images[0].shape == (10, 12, 3)
    assert set(values(images)) <= set(range(50, 55))


def test_pickles_for_worker_processes(data_dir):
    images = TfdsImages("tiny_paintings", split="trainA", data_dir=data_dir)
    assert values(pickle.loads(pickle.dumps(images))) == [0, 1, 2, 3, 4]


def test_a_folder_with_a_prepared_data_set_needs_no_name(data_dir, monkeypatch):
    folder = data_dir / "tiny_paintings" / "1.0.0"
    images = open_source(f"tfds:{folder}?split=trainB[:40%]", size=64, cache_dir="elsewhere")
    assert set(values(images)) <= set(range(100, 105))
    assert len(pickle.loads(pickle.dumps(images))) == 2
    monkeypatch.chdir(folder.parent)
    assert values(open_source("tfds:1.0.0?split=trainA", size=64)) == [0, 1, 2, 3, 4]


def test_a_folder_without_one_is_told_as_such(data_dir, tmp_path):
    with pytest.raises(UserError, match="no prepared data set there"):
        TfdsImages(str(data_dir))
    (tmp_path / "dataset_info.json").write_text('{"name": "torn')
    with pytest.raises(UserError, match="cannot be read; prepare it again") as raised:
        TfdsImages(str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tiny_paintings", {"split": "val"}, "'val'; there are trainA, trainB"),
        ("tiny_paintings", {"split": "trainA", "feature": "label"}, "there are image, mask"),
        ("no_such_paintings", {}, "no_such_paintings not found"),
        ("cycle_gan/no_such_config", {}, "BuilderConfig no_such_config"),
        ("needs_tensor_flow", {}, r"pip install 'jaxstyle\[tfds\]'"),
        ("offline", {}, "check the network.*failed to resolve host"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(data_dir, name, options, message):
    with pytest.raises(UserError, match=message) as raised:
        TfdsImages(name, data_dir=data_dir, **options)
    assert "\n" not in str(raised.value)
