import errno
import json
import shutil

import pytest

from jaxstyle.files.atomic_folder import DamagedError, check_room, check_whole, publish, remove


def fill(folder, text: str):
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_text(text)
    (folder / "inner" / "b").write_text("b")
    return folder


def test_a_published_folder_takes_its_name_and_is_whole(tmp_path):
    publish(fill(tmp_path / "new.partial", "first"), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / "a").read_text() == "first"
    assert check_whole(tmp_path / "new")
    publish(fill(tmp_path / "new.partial", "second"), tmp_path / "new")
    assert (tmp_path / "new" / "a").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_is_on_disk_before_it_takes_its_name_and_what_had_it_goes_last(
    tmp_path, to_disk, inode
):
    for old in ([], ["new.old.partial"]):
        to_disk.clear()
        publish(fill(tmp_path / "new.partial", "text"), tmp_path / "new")
        new = tmp_path / "new"
        parts = {inode(path) for path in (new, *new.rglob("*"))}
        assert set(to_disk[: len(parts)]) == parts
        removed = [f"-{name}" for name in old]
        assert to_disk[len(parts) :] == [*old, "new", inode(tmp_path), *removed]


def test_what_is_removed_has_lost_its_name_before(tmp_path, to_disk, inode):
    remove(fill(tmp_path / "3", "text"))
    assert to_disk == ["3.old.partial", inode(tmp_path), "-3.old.partial"]


def test_damage_is_named(tmp_path):
    publish(fill(tmp_path / "partial", "text"), tmp_path / "new")
    (tmp_path / "new" / "a").write_text("tixt")
    with pytest.raises(DamagedError, match=r"^a is not as it was written"):
        check_whole(tmp_path / "new")
    (tmp_path / "new" / "a").unlink()
    with pytest.raises(DamagedError, match=r"^a: No such file"):
        check_whole(tmp_path / "new")
    for text in ("", "[]", json.dumps({"a": "0"})[:-1]):
        (tmp_path / "new" / "sha256.json").write_text(text)
        with pytest.raises(DamagedError, match=r"^sha256\.json is not as it was written"):
            check_whole(tmp_path / "new")


def test_files_that_came_later_are_no_damage(tmp_path):
    publish(fill(tmp_path / "partial", "text"), tmp_path / "new")
    (tmp_path / "new" / ".DS_Store").write_text("")
    assert check_whole(tmp_path / "new")


def test_a_folder_without_checksums_cannot_be_checked(tmp_path):
    assert not check_whole(fill(tmp_path / "old", "text"))


def test_a_removal_that_is_cut_off_leaves_nothing_of_that_name(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda path: None)
    remove(fill(tmp_path / "3", "text"))
    assert [path.name for path in tmp_path.iterdir()] == ["3.old.partial"]
    remove(tmp_path / "never there")


def test_room_is_there_or_not(tmp_path):
    check_room(tmp_path, 1000)
    with pytest.raises(OSError, match=r"No space left|File too large") as error:
        check_room(tmp_path, 2**50)
    assert error.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert list(tmp_path.iterdir()) == []
