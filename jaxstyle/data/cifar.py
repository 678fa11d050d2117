"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from their own binary files, without TensorFlow."""

import dataclasses
import gzip
import os
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageSequence

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
SIZE = 32
_PIXEL_BYTES = 3 * SIZE * SIZE


@dataclasses.dataclass(frozen=True)
class _Format:
    """The binary form of one of the two: records of label bytes, then 3072 bytes of pixels.

    folder: what the archive unpacks to. files: of each split. classes: how many values each label
    byte has; the last one is the label.
    """

    name: str
    archive: str
    folder: str
    files: dict[str, tuple[str, ...]]
    classes: tuple[int, ...]

    @property
    def record(self) -> int:
        return len(self.classes) + _PIXEL_BYTES


_FORMATS = (
    _Format(
        "CIFAR-10",
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        {
            "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
            "test": ("test_batch.bin",),
        },
        (10,),
    ),
    _Format(
        "CIFAR-100",
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        {"train": ("train.bin",), "test": ("test.bin",)},
        (20, 100),
    ),
)
_SPLITS = ("train", "test")


class Cifar(ImageSequence):
    """The images of one split of CIFAR-10 or CIFAR-100; which of the two, its files tell.

    `images[i]` is [32, 32, 3] uint8 RGB, in the order of the files. A folder's files are mapped
    into memory; an archive is unpacked there (CIFAR-10: 150 MB), anew in every process.

    Args:
      path: the folder with the .bin files, one that holds it under the name it is published with,
        or the published .tar.gz itself. Files with fewer records than the published ones are fine.
      split: 'train' or 'test'.
      labels: only images of these classes, as numbers or as text: [0, 3] or '0,3'; of CIFAR-100 the
        fine ones. None or '': all.

    Attributes:
      name: 'CIFAR-10' or 'CIFAR-100'.
      labels: uint8 [len(self)], the class of each image.

    Raises:
      UserError: nothing there, a file that is missing or cut off, no such split or label.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        split: str = "train",
        labels: str | Iterable[int] | None = None,
    ):
        if split not in _SPLITS:
            raise UserError(f"{path}: no split '{split}'; CIFAR has {' and '.join(_SPLITS)}")
        self._path, self._split = Path(path).expanduser(), split
        self._format, self._files = _read(self._path, split)
        self.name = self._format.name
        of_all = np.concatenate(
            [records[:, len(self._format.classes) - 1] for records in self._files]
        )
        chosen = _parse_labels(path, labels, self._format)
        kept = np.isin(of_all, chosen) if chosen else np.ones(len(of_all), bool)
        if not kept.any():
            raise UserError(f"{path}: no image of the classes {chosen} in split '{split}'")
        self.labels = of_all[kept]
        self._indices = np.flatnonzero(kept)
        self._ends = np.cumsum([len(records) for records in self._files])

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> np.ndarray:
        record = self._indices[range(len(self))[index]]
        if self._files is None:
            self._files = _read(self._path, self._split)[1]
        file = int(np.searchsorted(self._ends, record, side="right"))
        planes = self._files[file][record - self._ends[file], -_PIXEL_BYTES:]
        return np.ascontiguousarray(planes.reshape(3, SIZE, SIZE).transpose(1, 2, 0))

    def __getstate__(self) -> dict:
        # A memory map would pickle as all its bytes. Workers read the files themselves.
        return {**self.__dict__, "_files": None}


def _parse_labels(
    path: str | os.PathLike, labels: str | Iterable[int] | None, form: _Format
) -> list[int]:
    """The chosen classes, sorted; none for all."""
    texts = labels.split(",") if isinstance(labels, str) and labels else labels or ()
    try:
        numbers = sorted({int(label) for label in texts})
    except ValueError:
        raise UserError(f"{path}: labels={labels} are not numbers joined by commas") from None
    count = form.classes[-1]
    if numbers and not 0 <= numbers[0] <= numbers[-1] < count:
        raise UserError(f"{path}: labels={labels}; those of {form.name} are 0 to {count - 1}")
    return numbers


def _read(path: Path, split: str) -> tuple[_Format, list[np.ndarray]]:
    """The format and the split's records, uint8 [n, bytes of a record] a file."""
    if path.is_dir():
        form, folder = _find_folder(path)
        contents = {}
        for name in form.files[split]:
            if not (folder / name).is_file():
                raise UserError(f"{folder} lacks {name}; unpack {form.archive} of {PAGE} anew")
            # An empty file cannot be mapped.
            empty = (folder / name).stat().st_size == 0
            contents[name] = (
                np.zeros(0, np.uint8) if empty else np.memmap(folder / name, np.uint8, "r")
            )
    elif path.is_file():
        form, contents = _unpack(path, split)
    else:
        raise UserError(f"no CIFAR at {path}; download {_FORMATS[0].archive} from {PAGE}")
    return form, [_records(path, name, data, form) for name, data in contents.items()]


def _find_folder(path: Path) -> tuple[_Format, Path]:
    for form in _FORMATS:
        for folder in (path, path / form.folder):
            if any((folder / name).exists() for names in form.files.values() for name in names):
                return form, folder
    # The files of the Python version have the same names, without an extension.
    if any(path.glob("data_batch_1")) or any(path.glob("*/data_batch_1")):
        raise UserError(
            f"{path} looks like the Python version of CIFAR, which is pickles; "
            f"download the binary version, {_FORMATS[0].archive}, from {PAGE}"
        )
    raise UserError(
        f"{path} holds no CIFAR (data_batch_1.bin ... or train.bin); "
        f"download {_FORMATS[0].archive} from {PAGE} and unpack it there"
    )


def _unpack(path: Path, split: str) -> tuple[_Format, dict[str, np.ndarray]]:
    """The format and the bytes of the split's files, by name."""
    wanted = {name: form for form in _FORMATS for name in form.files[split]}
    contents = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name in wanted and (file := archive.extractfile(member)):
                    contents[name] = np.frombuffer(file.read(), np.uint8)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        raise UserError(
            f"{path} is not a whole .tar.gz ({error}); download it from {PAGE} again"
        ) from error
    for form in _FORMATS:
        names = form.files[split]
        if contents.keys() & set(names):
            missing = [name for name in names if name not in contents]
            if missing:
                raise UserError(f"{path} lacks {missing[0]}; download it from {PAGE} again")
            return form, {name: contents[name] for name in names}
    raise UserError(
        f"{path} holds no binary CIFAR; download {_FORMATS[0].archive} or "
        f"{_FORMATS[1].archive} from {PAGE}"
    )


def _records(path: Path, name: str, data: np.ndarray, form: _Format) -> np.ndarray:
    if data.size == 0 or data.size % form.record:
        raise UserError(
            f"{path}: {name} has {data.size} bytes, no multiple of {form.record}, so it is cut off "
            f"or no file of {form.name}; download {form.archive} from {PAGE} again"
        )
    records = data.reshape(-1, form.record)
    for byte, classes in enumerate(form.classes):
        if records[:, byte].max() >= classes:
            raise UserError(
                f"{path}: {name} has a label above {classes - 1}, so it is no file of {form.name}; "
                f"download {form.archive} from {PAGE}"
            )
    return records
