import hashlib
import os
from pathlib import Path

import pytest

from jaxstyle.errors import UserError
from jaxstyle.preparation.films import content_hash, film_name, find_films


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_finds_files_folders_and_globs_each_film_once(tmp_path):
    first, second = touch(tmp_path / "b/ep1.mkv"), touch(tmp_path / "a/ep1.MP4")
    odd = touch(tmp_path / "odd.bin")
    touch(tmp_path / "a/notes.txt")
    assert find_films([str(tmp_path)]) == [second, first]
    assert find_films([str(odd), f"{tmp_path}/*/*.mkv", str(tmp_path)]) == [odd, first, second]


def test_names_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no films there"):
        find_films([f"{tmp_path}/*.mkv"])


def test_films_of_one_name_stay_apart_and_one_that_moved_keeps_its_name(tmp_path):
    paths = [touch(tmp_path / "a/ep1.mkv", b"one"), touch(tmp_path / "b/ep1.mkv", b"two")]
    moved = touch(tmp_path / "c/ep1.mkv", b"one")
    names = [film_name(path, content_hash(path)) for path in [*paths, moved]]
    assert names[0] != names[1]
    assert names[0] == names[2] == f"ep1-{hashlib.sha256(b'one').hexdigest()[:12]}"


def test_a_name_that_is_not_utf_8_gives_one_that_is():
    name = film_name(Path(os.fsdecode("é bad\xff name.mkv".encode("latin-1"))), "0" * 64)
    assert name == "? bad? name-000000000000"
    assert film_name(Path("é ok.mkv"), "0" * 64) == "é ok-000000000000"


def test_a_long_name_still_fits_on_disk(tmp_path):
    name = film_name(tmp_path / ("長" * 80 + ".mkv"), "0" * 64)
    (tmp_path / f".{name}.host-12345.partial").mkdir()
