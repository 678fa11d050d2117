"""What ships beside the code gets into a wheel only if pyproject.toml names it."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_file_that_is_no_module_is_named():
    package = ROOT / "jaxstyle"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["jaxstyle"]
    named = [sorted(package.glob(pattern)) for pattern in patterns]
    assert all(named), "a pattern that matches nothing"
    others = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert {path for paths in named for path in paths} == others


def test_every_licence_that_ships_is_named():
    named = {path for pattern in PROJECT["project"]["license-files"] for path in ROOT.glob(pattern)}
    shipped = {ROOT / "LICENSE", *(ROOT / "jaxstyle").rglob("*LICENSE*")}
    assert named == shipped
    assert " AND MIT" in PROJECT["project"]["license"]
