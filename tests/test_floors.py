"""Every folder is a floor: it imports only from floors below, and can be read by itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle

PACKAGE = Path(jaxstyle.__file__).parent

# What each floor may import, from the lowest up. A module belongs to the longest name here that it
# begins with; all others, in the root and every __main__, are commands, which import what they like
# and are imported by nobody.
FLOORS = {
    "errors": set(),
    "interrupt": set(),
    "arguments": set(),
    "choices": set(),
    "extras": {"errors"},
    "config": {"training"},
    "files": {"errors"},
    "losses": set(),
    "models": {"errors"},
    "features": {"errors", "files", "models"},
    "media": {"errors", "files"},
    "inference": {"errors", "files", "models"},
    "data": {"errors", "extras", "files", "media"},
    "realtime": {"errors", "files", "interrupt", "media", "inference"},
    "export": {"errors", "choices", "files", "models", "media", "inference", "data"},
    "convert": {"errors", "files", "models", "features", "inference"},
    "benchmark": {"errors", "files", "models", "inference", "data", "export"},
    "guides": {"errors", "files", "media", "models", "inference", "data"},
    "preparation": {"errors", "files", "media", "data"},
    "evaluation": {
        *("errors", "files", "losses", "models", "features", "media", "inference", "data"),
        "benchmark",
    },
    "training": {
        *("errors", "files", "interrupt", "losses", "models", "features", "media", "inference"),
        *("data", "guides", "evaluation"),
    },
    "benchmark.training": {
        *("errors", "files", "models", "features", "inference", "data", "training"),
        "benchmark",
    },
}
COMMANDS = "commands"


def module_name(path: Path) -> str:
    """Below jaxstyle: "data.loader"; "data" of its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(name: str) -> str:
    if name.endswith("__main__"):
        return COMMANDS
    inside = [floor for floor in FLOORS if f"{name}.".startswith(f"{floor}.")]
    return max(inside, key=len, default=COMMANDS)


def imports_of(source: str, modules: set[str]) -> list[tuple[int, str]]:
    """(line, module below jaxstyle) of each import of jaxstyle, wherever in the file it stands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by the whole name"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [n if n.removeprefix("jaxstyle.") in modules else node.module for n in inside]
        for name in names:
            if name.startswith("jaxstyle."):
                found.append((node.lineno, name.removeprefix("jaxstyle.")))
    return found


def offences(sources: dict[str, str]) -> list[str]:
    """The imports that go up or aside, one line each. sources: of the modules, by name."""
    lines = []
    for name, source in sources.items():
        floor = floor_of(name)
        if floor == COMMANDS:
            continue
        for line, imported in imports_of(source, set(sources)):
            below = floor_of(imported)
            if below != floor and below not in FLOORS[floor]:
                lines.append(f"{name}, line {line}: {floor} may not import {imported} ({below})")
    return lines


def test_every_import_goes_down():
    sources = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py")}
    assert offences(sources) == []


def test_floors_stand_on_one_another():
    order = list(FLOORS)
    order.remove("config")  # the face of training
    for number, floor in enumerate(order):
        assert FLOORS[floor] <= set(order[:number]), floor


@pytest.mark.parametrize(
    ("name", "source", "offence"),
    [
        ("losses.new", "import jaxstyle.models", "losses.new, line 1: losses may not import"),
        ("data.new", "def f():\n    from jaxstyle.realtime import http", "line 2: data may not"),
        ("inference.new", "from jaxstyle import stylize", "import stylize (commands)"),
        ("benchmark.new", "from jaxstyle.training.steps import train_step", "training.steps"),
    ],
)
def test_an_import_that_goes_up_is_told(name, source, offence):
    known = dict.fromkeys(["models", "realtime.http", "stylize", "training.steps"], "")
    (line,) = offences({**known, name: source})
    assert offence in line


def test_no_two_modules_have_one_name():
    names = [path.name for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.slow
def test_inference_brings_nothing_that_only_training_needs():
    modules = [f"jaxstyle.{module_name(p)}" for p in (PACKAGE / "inference").rglob("*.py")]
    script = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules}];"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "jax" in loaded
    assert not loaded & {"optax", "grain", "tensorflow_datasets", "orbax", "ml_collections"}
