"""The command `jaxstyle`, and what all commands have in common: their help comes at once."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest

import jaxstyle
from jaxstyle.__main__ import COMMANDS, main
from jaxstyle.arguments import as_called

# Each takes a tenth of a second or more to import; help needs none of them.
HEAVY = {"jax", "flax", "numpy", "cv2", "av", "PIL", "tqdm", "matplotlib", "ml_collections", "absl"}

# Prints {command: [what it brought with it]} for help in one process, command after command.
HELP = f"""
import contextlib, importlib, io, json, sys
brought = {{}}
before = set(sys.modules)
for name, module in json.loads(sys.argv[1]).items():
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            importlib.import_module(module).main(["--help"], prog=f"jaxstyle {{name}}")
        except SystemExit as end:
            assert end.code == 0, name
    assert output.getvalue().startswith(f"usage: jaxstyle {{name}} [-h]"), output.getvalue()
    assert "python -m jaxstyle" not in output.getvalue(), name
    loaded = {{module.partition(".")[0] for module in set(sys.modules) - before}}
    brought[name] = sorted(loaded & {HEAVY})
print(json.dumps(brought))
"""


def test_the_help_of_every_command_imports_nothing_heavy_and_shows_how_it_was_called():
    modules = {name: module for name, (module, _) in COMMANDS.items()}
    done = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(modules)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [] for name in COMMANDS}


@pytest.mark.parametrize(
    "module",
    [
        *("main", "stylize", "generate", "evaluate", "prepare", "styles", "export", "convert"),
        *("benchmark", "benchmark.training", "benchmark.training.input", "live", "doctor"),
        *("show_config", "show_data"),
    ],
)
def test_every_command_is_a_module_too(module):
    """With `python -m`; told apart from its namesake by how it calls itself."""
    spec = importlib.util.find_spec(f"jaxstyle.{module}.__main__") if _is_folder(module) else None
    found = importlib.import_module(spec.name if spec else f"jaxstyle.{module}")
    assert found.main.__defaults__[-1] == f"python -m jaxstyle.{module}"


def _is_folder(module):
    return importlib.util.find_spec(f"jaxstyle.{module}").submodule_search_locations is not None


def test_help_lists_every_command_with_what_it_does(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert any(line.split("  ")[1:2] == [name] and what in line for line in printed.split("\n"))


@pytest.mark.parametrize("asked", ["config", "config --help", "data -h"])
def test_a_word_that_begins_commands_lists_them(asked, capsys):
    assert main(asked.split()) == 0
    printed = capsys.readouterr().out
    group = asked.split()[0]
    assert printed.startswith(f"usage: jaxstyle {group} ...")
    assert f"  {group} show  {COMMANDS[f'{group} show'][1]}" in printed
    assert "stylize" not in printed


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxstyle {jaxstyle.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("stylise", "stylize"),
        ("config", "config show"),
        ("data shwo", "data show"),
        ("benchmrak", "benchmark"),
        ("bake", None),
    ],
)
def test_an_unknown_command_is_told_in_one_line_with_the_nearest_name(typed, near, capsys):
    assert main([*typed.split(), "--x=1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert repr(typed.split()[0]) in said
    assert ("did you mean" in said) == (near is not None)
    assert near is None or repr(near) in said


def test_the_longest_name_wins(monkeypatch):
    called = []
    for name in ("benchmark", "benchmark training", "benchmark training input"):
        module = importlib.import_module(COMMANDS[name][0])
        monkeypatch.setattr(
            module, "main", lambda argv, prog: called.append((prog, list(argv))) or 7
        )
    assert main(["benchmark", "training", "--x"]) == 7
    assert main(["benchmark", "training", "input"], prog="python -m jaxstyle") == 7
    assert main(["benchmark", "--training"]) == 7
    assert called == [
        ("jaxstyle benchmark training", ["--x"]),
        ("python -m jaxstyle benchmark training input", []),
        ("jaxstyle benchmark", ["--training"]),
    ]


def test_examples_are_shown_as_the_command_was_called():
    text = "python -m jaxstyle.main --x, python -m jaxstyle.benchmark.training.input."
    assert as_called(text, "python -m jaxstyle.stylize") == text
    shorter = "jaxstyle train --x, jaxstyle benchmark training input."
    assert as_called(text, "jaxstyle stylize") == shorter
    assert as_called("python -m jaxstyle.live", "python -m jaxstyle stylize") == (
        "python -m jaxstyle live"
    )
    for name, (module, _) in COMMANDS.items():
        typed = f"python -m {module.removesuffix('.__main__')} x"
        assert as_called(typed, "jaxstyle stylize") == f"jaxstyle {name} x"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_names_is_a_command(name, capsys):
    module = importlib.import_module(COMMANDS[name][0])
    with pytest.raises(SystemExit):
        module.main(["--help"], prog=f"jaxstyle {name}")
    help_ = capsys.readouterr().out
    for words in re.findall(r"(?<!\S)jaxstyle ([\w ]+)", help_):
        assert command_named(words), words
    with pytest.raises(SystemExit):
        module.main(["--help"])
    for typed in re.findall(r"python -m ([\w.]+)", capsys.readouterr().out):
        assert typed in {module.removesuffix(".__main__") for module, _ in COMMANDS.values()}


def command_named(words):
    """Whether "stylize holiday" begins with the name of a command."""
    return any(f"{words} ".startswith(f"{name} ") for name in COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["styles"]])
def test_a_closed_pipe_ends_a_command_quietly(arguments, unbuffered, monkeypatch):
    """While it prints, or at the end, where what was printed is kept until then."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert without_a_reader(["jaxstyle", *arguments]) == [(141, "")]


@pytest.mark.slow
def test_a_closed_pipe_ends_every_module_quietly(monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")  # else argparse itself passes over it
    modules = [module.removesuffix(".__main__") for module, _ in COMMANDS.values()]
    assert without_a_reader(*([m, "--help"] for m in modules)) == [(141, "")] * len(modules)


def without_a_reader(*commands):
    """(status, what is on stderr) of each `python -m` of which nobody reads what it prints."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        running = [
            subprocess.Popen(
                [sys.executable, "-m", *command], stdout=writer, stderr=subprocess.PIPE, text=True
            )
            for command in commands
        ]
        stderr = [process.communicate(timeout=60)[1] for process in running]
    finally:
        os.close(writer)
    return [(process.returncode, said) for process, said in zip(running, stderr, strict=True)]
