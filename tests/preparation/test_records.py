import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxstyle.preparation.records import assemble, is_complete, remove_data_set, write_shard


def png(value):
    data = io.BytesIO()
    Image.fromarray(np.full((10, 12, 3), value, np.uint8)).save(data, "PNG")
    return data.getvalue()


def examples(film, count):
    return [{"image": png(10 * i), "film": film, "frame": i, "time": i / 24} for i in range(count)]


def assemble_of(folder, counts):
    shards = []
    for film, count in counts.items():
        path = folder.with_name(f"{film}.records")
        write_shard(path, examples(film, count), "png")
        shards.append((path, count))
    folder.mkdir(exist_ok=True)
    assemble(folder, shards, image_format="png", description="Films.", licence="CC0")


def test_tfds_reads_the_films_in_order_without_tensorflow(tmp_path):
    assemble_of(tmp_path / "set", {"a": 3, "b": 2})
    builder = tfds.builder_from_directory(tmp_path / "set")
    source = builder.as_data_source("train")
    assert [(e["film"], int(e["frame"])) for e in source] == [
        *((b"a", i) for i in range(3)),
        *((b"b", i) for i in range(2)),
    ]
    assert source[2]["image"].shape == (10, 12, 3)
    assert source[2]["image"].max() == source[2]["image"].min() == 20
    assert source[1]["time"] == pytest.approx(1 / 24)
    assert len(builder.as_data_source("train[:60%]")) == 3
    assert builder.info.description == "Films."
    assert builder.info.redistribution_info.license == "CC0"
    assert "tensorflow" not in sys.modules


def test_assembling_again_leaves_nothing_of_the_old_set(tmp_path):
    folder = tmp_path / "set"
    assemble_of(folder, {"a": 3, "b": 2, "c": 1})
    assemble_of(folder, {"b": 2})
    assert len(list(folder.glob("*array_record*"))) == 1
    assert len(tfds.builder_from_directory(folder).as_data_source("train")) == 2
    assert is_complete(folder)
    remove_data_set(folder)
    assert not is_complete(folder)
    assert not list(folder.iterdir())


def test_every_process_writes_the_same_bytes(tmp_path):
    script = (
        "import sys; from pathlib import Path; from jaxstyle.preparation import records;"
        "example = {'image': Path(sys.argv[2]).read_bytes(), 'film': 'a', 'frame': 0, 'time': 0.0};"
        "records.write_shard(Path(sys.argv[1]), [example], 'png')"
    )
    (tmp_path / "picture").write_bytes(png(0))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_shard(ours, examples("a", 1), "png")
    subprocess.run([sys.executable, "-c", script, theirs, tmp_path / "picture"], check=True)
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_shard_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_shard(tmp_path / "nowhere" / "shard", examples("a", 1), "png")
