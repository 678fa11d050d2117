"""What the documentation names is there: pages, headings, files, modules, commands, settings."""

import importlib
import operator
import re
from pathlib import Path

import pytest

from jaxstyle.__main__ import COMMANDS
from jaxstyle.config import default_config

ROOT = Path(__file__).parents[1]
# docs/styles/*.md are no pages, but parts of docs/styles.md.
PAGES = [
    page for folder in (".", "docs", "configs") for page in sorted(ROOT.glob(f"{folder}/*.md"))
]
FOLDERS = r"configs|docs|jaxstyle|launch|peers|tests|tools|\.ci"

_SPAN = re.compile(r"`[^`]+`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"#{1,6} +(.+)")
_PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[a-z0-9_./]*[a-z0-9_](?!\w)")
_MODULE = re.compile(r"python -m ((?:jaxstyle|launch|tools)[a-z_.]*[a-z_])")
_SETTING = re.compile(r"--config\.([a-z][\w.]*)=")
_COMMAND = re.compile(r"(?<!from )\bjaxstyle ([a-z]+(?: [a-z]+\b)*)|\bpython -m [a-z.]+")
_OPTION = re.compile(r"(?<=\s)(--[a-z]\w*)(?![\w.])")


def split(text: str) -> tuple[str, str]:
    """(prose, code): code is blocks, fenced or indented below an empty line, and spans."""
    prose, code = [], []
    fenced, block = False, False
    before = ""
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        block = line.startswith("    ") and (block or not before)
        (code if fenced or fence or block else prose).append(line)
        fenced ^= fence
        before = line.strip()
    text = "\n".join(prose)
    return _SPAN.sub("", text), "\n".join([*code, *_SPAN.findall(text)])


def anchors(text: str) -> set[str]:
    """What headings are linked by, as GitHub makes it: the second of a name ends with -1."""
    found: set[str] = set()
    for line in re.sub(r"[`\\]", "", text).splitlines():
        if heading := _HEADING.fullmatch(line):
            name = re.sub(r"[^\w\- ]", "", heading[1].strip().lower()).replace(" ", "-")
            number = sum(
                re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in found
            )
            found.add(f"{name}-{number}" if number else name)
    return found


def dead_links(page: Path, text: str) -> list[str]:
    dead = []
    for target in _LINK.findall(split(text)[0]):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            dead.append(target)
    return dead


def is_run_by_python(module: str) -> bool:
    """Whether `python -m MODULE` finds something to run; nothing is imported for the answer."""
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def is_setting(name: str) -> bool:
    try:
        operator.attrgetter(name)(default_config())
    except AttributeError:
        return False
    return True


def unknown_names(text: str) -> list[str]:
    """Paths, modules and settings that a page names and that are not there."""
    # The targets of links are relative to the page.
    paths = [path for path in _PATH.findall(_LINK.sub("", text)) if not (ROOT / path).exists()]
    code = split(text)[1]
    modules = [name for name in _MODULE.findall(code) if not is_run_by_python(name)]
    return [*paths, *modules, *(name for name in _SETTING.findall(code) if not is_setting(name))]


def command_called(words: str) -> str | None:
    """The name in `COMMANDS` that "stylize holiday" begins with, the longest one."""
    parts = words.split()
    names = [" ".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in COMMANDS), None)


def commands_called(code: str) -> list[tuple[str, list[str]]]:
    """(what follows `jaxstyle`, options) of every call; a call ends where another begins."""
    calls = []
    for line in code.replace("\\\n", " ").splitlines():
        found = list(_COMMAND.finditer(line))
        ends = [*(match.start() for match in found[1:]), len(line)]
        for match, end in zip(found, ends, strict=False):
            if match[1]:
                calls.append((match[1], _OPTION.findall(line[match.end() : end])))
    return calls


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    assert dead_links(page, page.read_text()) == []


# What has changed names what there was.
@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=page_name)
def test_what_a_page_names_is_there(page):
    assert unknown_names(page.read_text()) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT], ids=page_name)
def test_pages_are_reached_from_the_readme_and_lead_back(page):
    assert f"]({page_name(page)})" in (ROOT / "README.md").read_text()
    assert "](../README.md)" in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_are_called_as_they_can_be(page, capsys):
    helps: dict[str, str] = {}
    for words, options in commands_called(split(page.read_text())[1]):
        name = command_called(words)
        assert name, f"no command: jaxstyle {words}"
        if name not in helps:
            with pytest.raises(SystemExit) as ended:
                importlib.import_module(COMMANDS[name][0]).main(["--help"])
            assert ended.value.code == 0
            helps[name] = capsys.readouterr().out
        assert [o for o in options if not re.search(rf"{o}\b", helps[name])] == [], name


def test_the_checks_find_what_is_wrong(tmp_path):
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("## To `do`: this\n\n## Twice\n\n## Twice\n")
    good = "[a](other.md), [b](other.md#to-do-this), [c](other.md#twice-1), `[d](not/a/link)`"
    assert dead_links(page, f"{good} [e](gone.md)\n[f\ng](other.md#twice-2)") == [
        "gone.md",
        "other.md#twice-2",
    ]
    named = (
        "`configs/demo.py`, `docs/NAME.md` and `jaxstyle/gone.py`\n\n    python -m jaxstyle.gone\n"
    )
    assert unknown_names(named) == ["jaxstyle/gone.py", "jaxstyle.gone"]
    assert unknown_names("`--config.losses.warp.weight=1 --config.nosuch=1`") == ["nosuch"]
    called = "jaxstyle data show x --out=y\njaxstyle live \\\n  --model=cel # jaxstyle no"
    called += "\nfrom jaxstyle import sweeps"
    assert commands_called(called) == [
        ("data show x", ["--out"]),
        ("live", ["--model"]),
        ("no", []),
    ]
    assert [command_called(words) for words in ("data show x", "no")] == ["data show", None]
