"""The table of what the extras bring is that of pyproject.toml, and what is missing is told."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from jaxstyle import extras
from jaxstyle.errors import UserError

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distributions(requirements: list[str]) -> set[str]:
    """The names of what is required, as pip compares them."""
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in requirements]
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.fixture(scope="module")
def brought_by():
    """The distributions that a module at the top comes from, by its name."""
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize("extra", extras.MODULES)
def test_the_modules_of_an_extra_are_what_pyproject_has_it_bring(extra, brought_by):
    tops = {module.partition(".")[0] for module in extras.MODULES[extra]}
    wanted = distributions(PROJECT["optional-dependencies"][extra])
    assert {top for top in tops if not wanted & distributions(brought_by[top])} == set()
    found = {name for top in tops for name in distributions(brought_by[top])}
    assert wanted - found == set()


def test_test_has_all_that_a_command_may_lack():
    extras_of_test = PROJECT["optional-dependencies"]["test"]
    (all_extras,) = (line for line in extras_of_test if line.startswith("jaxstyle["))
    assert set(extras.MODULES) <= set(re.findall(r"\w+", all_extras))


def test_what_is_missing_is_told_in_one_line_with_what_to_install(monkeypatch):
    there = {"train": ("json", "no_such_module", "no_such.below"), "onnx": ("json",)}
    monkeypatch.setattr(extras, "MODULES", there)
    extras.require("onnx")
    with pytest.raises(UserError) as refused:
        extras.require("train")
    assert str(refused.value) == (
        "this needs no_such_module, no_such.below, which are not installed: "
        "pip install 'jaxstyle[train]'"
    )
    with pytest.raises(UserError, match="this needs no_such_module, which is not installed"):
        extras.require("train", "json", "no_such_module")
