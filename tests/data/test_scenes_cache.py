import os
import pickle
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxstyle.data.scenes import Scenes, cache
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import one_process_at_a_time

pytestmark = pytest.mark.slow

SIZE = (40, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    Scenes("photo", 5, SIZE, 3, cache_dir=folder)
    return folder


def test_cached_frames_are_the_rendered_frames(folder):
    cached = Scenes("photo", 5, SIZE, 3, cache_dir=folder)
    for stored, drawn in zip(cached, Scenes("photo", 5, SIZE, 3), strict=True):
        assert np.array_equal(stored, drawn)
    assert [path.name for path in folder.iterdir()] == [cached.cache.name]


def test_a_frame_may_be_changed_without_changing_the_cache(folder):
    cached = Scenes("photo", 5, SIZE, 3, cache_dir=folder)
    before = cached[1]
    cached[1][:] = 0
    assert np.array_equal(cached[1], before)


def test_a_filled_cache_is_not_rendered_again(folder, monkeypatch):
    monkeypatch.setattr(cache, "_WORKER", "raise SystemExit(1)")
    assert len(Scenes("photo", 5, SIZE, 3, cache_dir=folder)) == 5


def test_a_pickle_carries_the_path_and_not_the_pixels(folder):
    cached = Scenes("photo", 5, SIZE, 3, cache_dir=folder)
    message = pickle.dumps(cached)
    assert len(message) < 1000
    assert np.array_equal(pickle.loads(message)[4], cached[4])


def test_what_was_asked_for_names_the_cache(tmp_path):
    asked = [("cel", 2, (32, 40), 0), ("photo", 2, (32, 40), 0), ("cel", 2, (40, 32), 0)]
    asked += [("cel", 1, (32, 40), 0), ("cel", 2, (32, 40), 1)]
    assert len({Scenes(*a, cache_dir=tmp_path).cache for a in asked}) == len(asked)


@pytest.mark.parametrize("trouble", ["interrupted", "worker fails"])
def test_nothing_is_left_of_a_rendering_that_did_not_finish(tmp_path, monkeypatch, trouble):
    if trouble == "interrupted":

        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(cache, "_show_progress", interrupt)
        expected = KeyboardInterrupt
    else:
        monkeypatch.setattr(cache, "_WORKER", "raise SystemExit(1)")
        expected = RuntimeError
    with pytest.raises(expected):
        Scenes("cel", 40, SIZE, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert len(Scenes("cel", 2, SIZE, cache_dir=tmp_path)) == 2


def test_a_damaged_cache_is_named(tmp_path):
    path = Scenes("cel", 2, SIZE, cache_dir=tmp_path).cache
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=path.name):
        Scenes("cel", 2, SIZE, cache_dir=tmp_path)


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    node = platform.node()
    stale = tmp_path / f"scenes-v1-cel-9x8x8-from0.{node}-{ended.pid}.partial"
    used = tmp_path / f"scenes-v1-cel-9x8x8-from0.{node}-{os.getppid()}.partial"
    foreign = tmp_path / f"scenes-v1-cel-9x8x8-from0.other-{ended.pid}.partial"
    for path in (stale, used, foreign):
        path.touch()
    Scenes("cel", 1, SIZE, cache_dir=tmp_path)
    assert [path.exists() for path in (stale, used, foreign)] == [False, True, True]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"config\.data\.cache_dir"):
        Scenes("cel", 1, SIZE, cache_dir=tmp_path / "file" / "cache")


def test_a_disk_that_is_too_small_is_refused_before_rendering(tmp_path):
    with pytest.raises(UserError, match=r"GB free of 3000000\.0 GB needed"):
        Scenes("cel", 10**9, (1000, 1000), cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_renders_is_waited_for(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_WORKER", "raise SystemExit(1)")
    rendered = Scenes("photo", 5, SIZE, 3, cache_dir=folder).cache
    with ThreadPoolExecutor(1) as pool:
        with one_process_at_a_time(tmp_path, "the same scenes"):
            asked = pool.submit(Scenes, "photo", 5, SIZE, 3, cache_dir=tmp_path)
            shutil.copy(rendered, tmp_path)
        assert len(asked.result()) == 5
