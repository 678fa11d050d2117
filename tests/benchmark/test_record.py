import os

import jax
import pytest

from jaxstyle.benchmark.record import (
    document,
    machine_changes,
    read_document,
    write_document,
)
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole


def test_a_document_says_what_was_measured_with_what_on_what(make_cell, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_some=flag")
    cell = make_cell(jaxstyle=4.0, torch=3.0) | {"device": "Some GPU"}
    content = document([cell], date="2030-01-02T03:04:05+00:00", seconds=3.0)
    assert content["versions"]["jax"] == jax.__version__
    assert content["versions"]["torch"] == "1.2"
    assert content["machine"]["accelerator"] == "Some GPU"
    assert 1 <= content["machine"]["cores"] <= os.cpu_count()
    assert content["machine"]["memory_gib"] > 0.1
    assert content["machine"]["cpu"]
    assert content["xla_flags"] == "--xla_some=flag"
    assert content["cells"] == [cell]


def test_what_is_written_is_read_again(make_cell, tmp_path):
    content = document([make_cell(jaxstyle=4.0)], date="2030-01-02", seconds=3.0)
    write_document(tmp_path / "benchmark.json", content)
    assert read_document(tmp_path / "benchmark.json") == content
    assert machine_changes(content, content) == []


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "benchmark.json"
    path.write_text("earlier")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match="No space left"):
        write_whole(path, b"new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["earlier"]


@pytest.mark.parametrize("content", ["", "[1]", '{"format": "another"}', "\x00"])
def test_other_files_are_refused_by_name(content, tmp_path):
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"some\.json"):
        read_document(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_document(tmp_path / "none.json")


def test_another_machine_is_noticed(make_cell):
    now = document([make_cell(jaxstyle=4.0)], date="2030-01-02", seconds=3.0)
    then = now | {"machine": now["machine"] | {"cpu": "Z80", "os": "updated since"}}
    (change,) = machine_changes(then, now)
    assert change.startswith("cpu: Z80, now ")
