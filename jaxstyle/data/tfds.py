"""Images of a TensorFlow Datasets (TFDS) data set, read without TensorFlow."""

import io
import os
import textwrap
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageSequence, read_image


class TfdsImages(ImageSequence):
    """One image feature of one split, by random access to ArrayRecord files.

    `images[i]` is [H, W, 3] uint8 RGB. A data set that is not there yet is downloaded and prepared
    first; some need TensorFlow for that, none needs it afterwards. Without a network, TFDS retries
    for some minutes before the error comes.

    Args:
      name: data set and, where it has any, config, such as 'cycle_gan/ukiyoe2photo'; also one
        without code that was prepared elsewhere and lies in `data_dir`; or the folder itself that
        holds a prepared one (its dataset_info.json), as `jaxstyle.prepare` makes them.
      split: a TFDS split, slices included: 'trainA', 'train[:80%]'.
      feature: name of the image feature.
      data_dir: where TFDS keeps data sets that are named; None: ~/tensorflow_datasets.

    Raises:
      UserError: no such data set, split or image feature, or it could not be prepared.
    """

    def __init__(
        self,
        name: str,
        *,
        split: str = "train",
        feature: str = "image",
        data_dir: str | os.PathLike | None = None,
    ):
        builder = _prepared_builder(name, data_dir)
        features = builder.info.features
        images = [
            key
            for key, value in features.items()
            if isinstance(value, tfds.features.Image) and value.np_dtype in (np.uint8, np.uint16)
        ]
        if feature not in images:
            known = ", ".join(images) or "none"
            raise UserError(f"tfds:{name}: no image feature '{feature}'; there are {known}")
        try:
            # Decoded here, not by TFDS, so that all images follow the same rules (`read_image`).
            self._examples = builder.as_data_source(
                split, decoders={feature: tfds.decode.SkipDecoding()}
            )
        except NotImplementedError:
            raise UserError(
                f"tfds:{name}: {builder.data_dir} is not in a format with random access; "
                f"prepare it with --file_format=array_record or name another data_dir"
            ) from None
        except ValueError as error:
            raise UserError(
                f"tfds:{name}: cannot read split '{split}'; there are "
                f"{', '.join(builder.info.splits)} ({_first_line(error)})"
            ) from error
        self._label = f"tfds:{name}?split={split}"
        self._feature = feature

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        try:
            return read_image(io.BytesIO(self._examples[index][self._feature]))
        except UserError as error:
            raise UserError(f"{self._label}, example {index}: {error}") from error


def _prepared_builder(name: str, data_dir: str | os.PathLike | None) -> tfds.core.DatasetBuilder:
    folder = Path(name).expanduser()
    if (folder / "dataset_info.json").is_file():
        return _opened_builder(name, folder)
    if folder.is_absolute() or name.startswith("."):
        raise UserError(f"tfds:{name}: no prepared data set there; name what has dataset_info.json")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except ValueError as error:  # data set or config unknown
        raise UserError(f"tfds:{name}: {_first_line(error)}") from error
    if builder.is_prepared():
        return builder
    try:
        builder.download_and_prepare(file_format="array_record")
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        extra = "'jaxstyle[tfds]'" if missing in ("", "tensorflow") else missing
        raise UserError(
            f"tfds:{name}: preparing this data set needs a package that is missing; "
            f"pip install {extra} ({_first_line(error)})"
        ) from error
    # A builder runs the data set's own code and the network: whatever fails, this is the step.
    except Exception as error:
        raise UserError(
            f"tfds:{name}: could not be downloaded and prepared; check the network, or prepare it "
            f"on another machine and name its data_dir ({type(error).__name__}: "
            f"{_first_line(error)})"
        ) from error
    return builder


def _opened_builder(name: str, folder: Path) -> tfds.core.DatasetBuilder:
    # TFDS, protobuf and JSON each have errors of their own for files that are damaged.
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:
        raise UserError(
            f"tfds:{name}: its description cannot be read; prepare it again ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    """The gist of messages that run to pages (lists of all data sets, nested network errors)."""
    return textwrap.shorten((str(error).strip() or type(error).__name__).splitlines()[0], 300)
