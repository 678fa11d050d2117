import os
import shutil

import pytest


@pytest.fixture
def to_disk(monkeypatch):
    """What is done to the disk, in order: the inode of what is flushed, or the new name of what is
    renamed, or the name of the tree that is removed with a minus before it."""
    done = []

    def noted(module, function, note):
        original = getattr(module, function)

        def noting(*args, **kwargs):
            done.append(note(*args))
            return original(*args, **kwargs)

        monkeypatch.setattr(module, function, noting)

    noted(os, "fsync", lambda descriptor: os.fstat(descriptor).st_ino)
    for function in ("replace", "rename"):
        noted(os, function, lambda old, new: os.path.basename(new))
    noted(shutil, "rmtree", lambda path: f"-{os.path.basename(path)}")
    return done


@pytest.fixture
def inode():
    return lambda path: path.stat().st_ino
