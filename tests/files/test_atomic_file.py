import errno
import os
import stat
import threading

import pytest

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, one_process_at_a_time, write_whole


def test_a_file_is_on_disk_before_it_takes_its_name_and_its_name_afterwards(
    tmp_path, to_disk, inode
):
    path = tmp_path / "figures.json"
    for content in (b"first", b"second"):
        to_disk.clear()
        write_whole(path, content)
        assert path.read_bytes() == content
        assert to_disk == [inode(path), "figures.json", inode(tmp_path)]


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
def test_a_disk_that_does_not_take_a_file_costs_the_earlier_one_nothing(
    tmp_path, monkeypatch, number
):
    path = tmp_path / "figures.json"
    path.write_text("earlier")

    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=rf"cannot write .*figures\.json: {os.strerror(number)}"):
        write_whole(path, b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_a_disk_that_flushes_no_folders_will_do(tmp_path, monkeypatch):
    fsync = os.fsync

    def files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    write_whole(tmp_path / "a", b"text")
    assert (tmp_path / "a").read_bytes() == b"text"


def test_folders_that_are_made_are_on_disk_from_the_top(tmp_path, to_disk, inode):
    folder = tmp_path / "runs" / "first"
    make_folder(folder)
    assert to_disk == [inode(tmp_path), inode(folder.parent)]
    to_disk.clear()
    make_folder(folder)
    assert to_disk == []


@pytest.mark.skipif("sys.platform == 'win32'")
def test_one_at_a_time_and_the_others_wait(tmp_path, capsys):
    order = []

    def second():
        with one_process_at_a_time(tmp_path, "rendering"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with one_process_at_a_time(tmp_path, "rendering"):
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == "waiting for another process: rendering\n"
    assert list(tmp_path.iterdir()) == []


def test_another_folder_is_not_waited_for(tmp_path, capsys):
    (tmp_path / "other").mkdir()
    with one_process_at_a_time(tmp_path, "a"), one_process_at_a_time(tmp_path / "other", "b"):
        pass
    assert capsys.readouterr().err == ""
