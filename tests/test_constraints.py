"""What CI pins is what the test extra installs."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def required(extra: str) -> list[Requirement]:
    """Of an extra, and of those of jaxstyle's own that it names."""
    found = []
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name == PROJECT["name"]:
            found += [inner for name in requirement.extras for inner in required(name)]
        else:
            found.append(requirement)
    return found


def test_every_requirement_is_pinned_at_a_version_that_it_allows():
    pinned = pins()
    for requirement in [*map(Requirement, PROJECT["dependencies"]), *required("test")]:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_commits_are_looked_over_by_the_ruff_that_ci_runs():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"ruff==([\d.]+)", hooks)) == {pins()["ruff"]}
