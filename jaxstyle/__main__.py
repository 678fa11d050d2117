"""The command `jaxstyle`: runs the command that is named, `jaxstyle stylize ...`."""

import difflib
import importlib
import sys
from collections.abc import Sequence

import jaxstyle
from jaxstyle.errors import quiet_without_a_reader

# By name: the module whose `main` it is, the same as of `python -m`, and what it does.
COMMANDS = {
    "stylize": ("jaxstyle.stylize", "images, films, cameras and streams in a style"),
    "live": ("jaxstyle.live", "a camera in a style: in a window, a browser, a video call"),
    "styles": ("jaxstyle.styles.__main__", "the styles that ship"),
    "train": ("jaxstyle.main", "a model on a style of your own"),
    "prepare": ("jaxstyle.prepare", "training frames out of films"),
    "evaluate": ("jaxstyle.evaluate", "models compared on the same frames"),
    "generate": ("jaxstyle.generate", "images and films out of noise"),
    "export": ("jaxstyle.export.__main__", "a model for other programs: StableHLO, ONNX"),
    "convert": ("jaxstyle.convert.__main__", "published PyTorch weights to a model"),
    "benchmark": ("jaxstyle.benchmark.__main__", "frames a second, also of other runtimes"),
    "benchmark training": ("jaxstyle.benchmark.training.__main__", "seconds of a training step"),
    "benchmark training input": (
        "jaxstyle.benchmark.training.input.__main__",
        "how long training waits for its data",
    ),
    "config show": ("jaxstyle.show_config", "all settings of a recipe, as training has them"),
    "data show": ("jaxstyle.show_data", "a batch that a recipe trains on, as a picture"),
    "doctor": ("jaxstyle.doctor", "what is installed here, and what is missing for what"),
}
_LONGEST = max(len(name.split()) for name in COMMANDS)


def main(argv: Sequence[str] | None = None, prog: str = "jaxstyle") -> int:
    """Runs the command that the arguments name; returns its exit status, 2 if there is none."""
    with quiet_without_a_reader():
        return _run(sys.argv[1:] if argv is None else list(argv), prog)


def _run(argv: list[str], prog: str) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help(prog))
        return 0
    if argv[0] == "--version":
        print(f"jaxstyle {jaxstyle.__version__}")
        return 0
    if group := _group(argv):
        print(_help(prog, group))
        return 0
    for count in range(_LONGEST, 0, -1):
        name = " ".join(argv[:count])
        if name in COMMANDS:
            module, _ = COMMANDS[name]
            return importlib.import_module(module).main(argv[count:], prog=f"{prog} {name}")
    print(f"error: {_no_such_command(argv)}; {prog} --help lists them", file=sys.stderr)
    return 2


def _group(argv: Sequence[str]) -> str | None:
    """The word that only begins names of commands, "config", where no more is typed than help."""
    word, *rest = argv
    begins = word not in COMMANDS and any(name.startswith(f"{word} ") for name in COMMANDS)
    return word if begins and rest in ([], ["-h"], ["--help"], ["help"]) else None


def _help(prog: str, group: str | None = None) -> str:
    """What there is: all commands, or those whose names begin with one word."""
    begin = f"{group} " if group else ""
    about = "Trains a GAN on a style; turns a camera, a stream or a film into that style, live."
    listed = {name: what for name, (_, what) in COMMANDS.items() if name.startswith(begin)}
    width = max(map(len, listed))
    lines = [f"  {name:{width}}  {what}" for name, what in listed.items()]
    return "\n".join(
        [
            f"usage: {prog} {begin or 'COMMAND '}...",
            "",
            *([] if group else [about, ""]),
            "commands:",
            *lines,
            "",
            f"{prog} COMMAND --help explains one; {prog} --version tells the version.",
        ]
    )


def _no_such_command(argv: Sequence[str]) -> str:
    word = argv[0]
    begun = [name for name in COMMANDS if name.startswith(f"{word} ")]
    typed = " ".join(arg for arg in argv[:_LONGEST] if not arg.startswith("-"))
    near = begun or difflib.get_close_matches(typed, COMMANDS, n=1)
    near = near or difflib.get_close_matches(word, COMMANDS, n=1)
    return f"no command {word!r}" + (f", did you mean {near[0]!r}?" if near else "")


if __name__ == "__main__":
    sys.exit(main(prog="python -m jaxstyle"))
