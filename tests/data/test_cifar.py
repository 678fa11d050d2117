"""CIFAR from files written by the description on its page: label bytes, then planes R, G, B."""

import pickle
import tarfile

import numpy as np
import pytest

from jaxstyle.data.cifar import Cifar
from jaxstyle.errors import UserError

CIFAR10 = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
CLASSES = 10


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def record(seed, *labels):
    red, green, blue = (picture(seed)[..., c].tobytes() for c in range(3))
    return bytes(labels) + red + green + blue


def write_cifar10(folder, per_file=4):
    """Image k, counted over all files, is picture(k), of class k modulo 10."""
    folder.mkdir(parents=True)
    for i, name in enumerate(CIFAR10):
        seeds = range(i * per_file, (i + 1) * per_file)
        (folder / name).write_bytes(b"".join(record(k, k % CLASSES) for k in seeds))
    return folder


def write_cifar100(folder):
    """Coarse labels 1, fine labels 90 and on."""
    folder.mkdir(parents=True)
    for name, first in (("train.bin", 0), ("test.bin", 6)):
        (folder / name).write_bytes(
            b"".join(record(k, 1, 90 + k) for k in range(first, first + 6 - first // 2))
        )
    return folder


def pack(folder, path):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


@pytest.fixture
def cifar10(tmp_path):
    return write_cifar10(tmp_path / "cifar-10-batches-bin")


@pytest.mark.parametrize("where", ["folder", "its parent", "archive"])
def test_images_come_in_the_order_of_the_files(cifar10, where):
    path = {
        "folder": cifar10,
        "its parent": cifar10.parent,
        "archive": cifar10.parent / "cifar-10-binary.tar.gz",
    }[where]
    if where == "archive":
        pack(cifar10, path)
    train, test = Cifar(path), Cifar(str(path), split="test")
    assert (len(train), len(test)) == (20, 4)
    assert train.name == "CIFAR-10"
    for k in range(20):
        np.testing.assert_array_equal(train[k], picture(k))
    assert train[0].dtype == np.uint8
    assert train[0].flags.writeable
    np.testing.assert_array_equal(train[-1], picture(19))
    np.testing.assert_array_equal(test[1], picture(21))
    assert train.labels.tolist() == [k % 10 for k in range(20)]
    with pytest.raises(IndexError):
        train[20]


@pytest.mark.parametrize("labels", ["3,0", [0, 3]])
def test_only_the_chosen_classes(cifar10, labels):
    images = Cifar(cifar10, labels=labels)
    assert images.labels.tolist() == [0, 3, 0, 3]
    for image, k in zip(images, (0, 3, 10, 13), strict=True):
        np.testing.assert_array_equal(image, picture(k))


def test_cifar100_has_two_label_bytes_and_the_fine_one_counts(tmp_path):
    folder = write_cifar100(tmp_path / "cifar-100-binary")
    for path in (folder, tmp_path, pack(folder, tmp_path / "c.tar.gz")):
        train = Cifar(path, labels="93")
        assert train.name == "CIFAR-100"
        assert train.labels.tolist() == [93]
        np.testing.assert_array_equal(train[0], picture(3))
    test = Cifar(folder, "test")
    assert len(test) == 3
    np.testing.assert_array_equal(test[2], picture(8))


@pytest.mark.parametrize("archived", [False, True])
def test_it_pickles_without_its_pixels(cifar10, tmp_path, archived):
    path = pack(cifar10, tmp_path / "c.tar.gz") if archived else cifar10
    images = Cifar(path, labels="7")
    data = pickle.dumps(images)
    assert len(data) < 3072
    np.testing.assert_array_equal(pickle.loads(data)[1], images[1])


def test_what_is_missing_is_named_with_where_to_get_it(cifar10, tmp_path):
    with pytest.raises(UserError, match=r"download cifar-10-binary\.tar\.gz from https://www\.cs"):
        Cifar(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no CIFAR"):
        Cifar(tmp_path / "empty")
    (cifar10 / "data_batch_3.bin").unlink()
    with pytest.raises(UserError, match=r"lacks data_batch_3\.bin"):
        Cifar(cifar10)
    with pytest.raises(UserError, match=r"lacks data_batch_3\.bin"):
        Cifar(pack(cifar10, tmp_path / "c.tar.gz"))
    assert len(Cifar(cifar10, "test")) == 4


@pytest.mark.parametrize("length", [0, 3073 * 4 - 1, 3000])
def test_a_file_that_is_cut_off_is_named(cifar10, length):
    path = cifar10 / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=rf"data_batch_2\.bin has {length} bytes"):
        Cifar(cifar10)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_an_archive_that_is_cut_off_is_named(cifar10, tmp_path, share):
    path = pack(cifar10, tmp_path / "c.tar.gz")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"c\.tar\.gz is not a whole .tar.gz"):
        Cifar(path)


def test_files_of_another_kind_are_refused(cifar10, tmp_path):
    path = cifar10 / "data_batch_1.bin"
    path.write_bytes(record(0, 10))
    with pytest.raises(UserError, match="a label above 9"):
        Cifar(cifar10)
    python_version = tmp_path / "python" / "cifar-10-batches-py"
    python_version.mkdir(parents=True)
    (python_version / "data_batch_1").write_bytes(b"\x80")
    with pytest.raises(UserError, match="binary version"):
        Cifar(python_version.parent)
    with pytest.raises(UserError, match="holds no binary CIFAR"):
        Cifar(pack(python_version, tmp_path / "py.tar.gz"))
    (tmp_path / "text.tar.gz").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="not a whole"):
        Cifar(tmp_path / "text.tar.gz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "train and test"),
        ({"labels": "cat"}, "not numbers"),
        ({"labels": "3,10"}, "0 to 9"),
        ({"labels": [-1]}, "0 to 9"),
    ],
)
def test_options_that_cannot_be_are_refused(cifar10, options, message):
    with pytest.raises(UserError, match=message):
        Cifar(cifar10, **options)


def test_classes_without_an_image_are_refused(tmp_path):
    folder = write_cifar10(tmp_path / "small", per_file=1)
    with pytest.raises(UserError, match="no image of the classes"):
        Cifar(folder, labels="9")
