"""Frames as a TFDS data set in ArrayRecord files, written without TensorFlow.

Each film is a shard of its own, in the order of the films, frames in the order of time: a TFDS
slice such as train[:90%] separates films (and within one, scenes), not neighbouring frames.
"""

import io
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.core.example_serializer import ExampleSerializer

NAME = "frames"
SPLIT = "train"
_INFO = "dataset_info.json"


def features(image_format: str) -> tfds.features.FeaturesDict:
    """What an example holds. image_format: "jpeg" or "png".

    image: uint8 [H, W, 3], encoded. film: the name of its film. frame: its number there, from 0.
    time: seconds since the first frame.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format=image_format),
            "film": tfds.features.Text(),
            "frame": np.int64,
            "time": np.float32,
        }
    )


def write_shard(path: Path, examples: Iterable[dict[str, Any]], image_format: str) -> None:
    """Writes examples, of `features` with the image as encoded bytes, to an ArrayRecord file.

    Raises `OSError` if it cannot be written.
    """
    example_features = features(image_format)
    serializer = ExampleSerializer(example_features.get_serialized_info())
    try:
        # One record a group, so that reading one decompresses no other.
        writer = ArrayRecordWriter(os.fspath(path), "group_size:1")
        for example in examples:
            encoded = example_features.encode_example(
                {**example, "image": io.BytesIO(example["image"])}
            )
            # `serialize_example` orders an example's features anew in every process.
            record = serializer.get_tf_example(encoded)
            writer.write(record.SerializeToString(deterministic=True))
        writer.close()
    # A full disk, in the words of the writer.
    except RuntimeError as error:
        raise OSError(str(error)) from error


def is_complete(folder: Path) -> bool:
    """Whether a data set in a folder can be opened."""
    return (folder / _INFO).is_file()


def remove_data_set(folder: Path) -> None:
    """Removes the data set in a folder, if there is one."""
    # First what makes it one.
    (folder / _INFO).unlink(missing_ok=True)
    for path in [folder / "features.json", folder / "LICENSE", *_shards(folder)]:
        path.unlink(missing_ok=True)


def assemble(
    folder: Path,
    shards: Sequence[tuple[Path, int]],
    *,
    image_format: str,
    description: str,
    licence: str,
) -> None:
    """Makes a folder a TFDS data set of shards that lie elsewhere on the same disk.

    shards: files of `write_shard`, and how many examples each has. They are linked, not copied,
    where the file system can. The data set that was there before is replaced; while that lasts,
    there is none.
    """
    remove_data_set(folder)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=NAME, split=SPLIT, filetype_suffix="array_record"
    )
    for index, (shard, _) in enumerate(shards):
        place = Path(template.sharded_filepath(shard_index=index, num_shards=len(shards)))
        _link(shard, place)
    split = tfds.core.SplitInfo(
        name=SPLIT,
        shard_lengths=[count for _, count in shards],
        num_bytes=sum(shard.stat().st_size for shard, _ in shards),
        filename_template=template,
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features(image_format),
        split_infos=[split],
        # That would need TensorFlow.
        check_data=False,
        disable_shuffling=True,
        description=description,
        license=licence,
    )


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{NAME}-{SPLIT}.array_record-*"))


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
