"""launch/local.sh, without installing anything: in a copy of the checkout's skeleton."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")


@pytest.fixture
def checkout(tmp_path) -> Path:
    root = tmp_path / "check out"  # spaces and all
    (root / "launch").mkdir(parents=True)
    shutil.copy(ROOT / "launch" / "local.sh", root / "launch")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def tools(tmp_path) -> Path:
    """A folder for PATH that holds what any system has, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "sed", "cksum", "cat", "mkdir", "chmod", "touch"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH}\n{script}\n")
    path.chmod(0o755)


# Answers to the question for its version; -m venv --clear DIR makes an environment whose Python and
# pip only take notes.
FAKE_PYTHON = """
case "$1" in
-c) exit {old} ;;
-m) venv="$4"; mkdir -p "$venv/bin"; echo "$0" >>"$venv/made"
    echo '#!{bash}' >"$venv/bin/python"
    echo 'echo "$@" >>"'"$venv"'/installed"' >>"$venv/bin/python"
    chmod +x "$venv/bin/python" ;;
esac
"""


def fake_python(path: Path, old: bool = False) -> None:
    executable(path, FAKE_PYTHON.format(old=int(old), bash=BASH))


def launch(checkout: Path, tools: Path, *arguments: str, **variables: str):
    return subprocess.run(
        [checkout / "launch" / "local.sh", *arguments],
        env={"PATH": str(tools), "HOME": str(checkout)} | variables,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_without_a_command_it_says_how_it_is_used(checkout, tools):
    result = launch(checkout, tools)
    assert result.returncode == 2
    assert "launch/local.sh python -m jaxstyle.main ..." in result.stdout
    assert "JAXSTYLE_EXTRAS" in result.stdout
    assert "#" not in result.stdout
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("only_an_old_one", [False, True])
def test_without_a_python_it_says_so_in_one_line(checkout, tools, only_an_old_one):
    if only_an_old_one:
        fake_python(tools / "python3", old=True)
    result = launch(checkout, tools, "python", "--version")
    assert result.returncode == 1
    assert result.stderr.startswith("error: jaxstyle needs Python 3.12 or newer")
    assert result.stderr.count("\n") == 1
    assert not (checkout / ".venv").exists()


def test_it_installs_once_and_runs_the_command(checkout, tools):
    fake_python(tools / "python3")
    executable(tools / "show", 'echo "$VIRTUAL_ENV"; echo "$PATH"; printf "%s|" "$@"; exit 7')
    venv = checkout / ".venv"
    first = launch(checkout, tools, "show", "a b", "c")
    assert first.returncode == 7  # of the command
    assert first.stdout.splitlines() == [str(venv), f"{venv}/bin:{tools}", "a b|c|"]
    assert f"-e {checkout}[test]".replace("-e", "--editable") in (venv / "installed").read_text()
    second = launch(checkout, tools, "show")
    assert second.returncode == 7
    assert second.stderr == ""
    assert len((venv / "installed").read_text().splitlines()) == 1


def test_it_installs_again_when_asked_for_more(checkout, tools):
    fake_python(tools / "python3")
    executable(tools / "show", "true")
    launch(checkout, tools, "show")
    launch(checkout, tools, "show", JAXSTYLE_EXTRAS="test,tfds")
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    launch(checkout, tools, "show", JAXSTYLE_EXTRAS="test,tfds")
    installed = (checkout / ".venv" / "installed").read_text().splitlines()
    assert [line.rpartition("[")[2] for line in installed] == ["test]", "test,tfds]", "test,tfds]"]


def test_it_holds_to_constraints_and_installs_again_when_they_change(checkout, tools):
    fake_python(tools / "python3")
    executable(tools / "show", "true")
    constraints = checkout / "con straints.txt"
    constraints.write_text("jax==0.12.0\n")
    for _ in range(2):
        launch(checkout, tools, "show", JAXSTYLE_CONSTRAINTS=str(constraints))
    constraints.write_text("jax==0.12.1\n")
    launch(checkout, tools, "show", JAXSTYLE_CONSTRAINTS=str(constraints))
    launch(checkout, tools, "show")
    installed = (checkout / ".venv" / "installed").read_text().splitlines()
    held = f"test] --constraint={constraints}"
    assert [line.rpartition("[")[2] for line in installed] == [held, held, "test]"]


def test_an_installation_that_fails_is_tried_again(checkout, tools):
    executable(
        tools / "python3",
        FAKE_PYTHON.format(old=0, bash=BASH).replace("echo 'echo", "echo 'exit 3; echo"),
    )
    executable(tools / "show", "echo shown")
    result = launch(checkout, tools, "show")
    assert result.returncode == 3
    assert "shown" not in result.stdout
    fake_python(tools / "python3")
    assert launch(checkout, tools, "show").stdout == "shown\n"


def test_the_interpreter_can_be_chosen(checkout, tools):
    fake_python(tools / "python3")
    fake_python(checkout / "other" / "python")
    executable(tools / "show", "true")
    launch(checkout, tools, "show", PYTHON=str(checkout / "other" / "python"))
    assert (checkout / ".venv" / "made").read_text().strip() == str(checkout / "other" / "python")
