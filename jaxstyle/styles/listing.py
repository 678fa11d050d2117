"""What there is to know of the styles that ship, as text."""

import dataclasses
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxstyle.errors import UserError
from jaxstyle.evaluation.catalogue import described
from jaxstyle.inference import shipped_styles
from jaxstyle.inference.bundle import load_metadata
from jaxstyle.styles import limits

HOW_TO_USE = """\
python -m jaxstyle.stylize 0 window --model=NAME            the camera, live
python -m jaxstyle.stylize film.mp4 out.mp4 --model=NAME    a film
python -m jaxstyle.stylize photos/ out/ --model=NAME        photos"""

CREDIT = (
    "Whoever uses a style's bundle or its pictures further, changed or not, gives the credits that "
    "stand under its data."
)

_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class ShippedStyle:
    """One of the bundles that ship.

    name: as in --model=NAME. picture: None where there is none. facts: what else there is to tell,
    lines of text by their title: "styles" (of a bundle of several), "size", "licence", "data" (with
    its licences), "figures".
    """

    name: str
    description: str
    picture: Path | None
    facts: dict[str, list[str]]


def read_styles(names: Sequence[str] = ()) -> list[ShippedStyle]:
    """The styles that ship, or those of the names given, in the order of their names.

    Raises `UserError` if none ships under a name, or a bundle in the folder is damaged.
    """
    there = shipped_styles.names()
    for name in names:
        if name not in there:
            raise UserError(f"no style {name!r} ships; there are: {shipped_styles.listed_names()}")
    return [_read_style(name) for name in there if not names or name in names]


def as_text(styles: Sequence[ShippedStyle]) -> str:
    """The styles for a terminal, and how to use one."""
    if not styles:
        return "no styles ship with this installation"
    paragraphs = [
        "Styles that ship with jaxstyle; NAME is one of: " + ", ".join(shipped_styles.names()),
        HOW_TO_USE,
        textwrap.fill(CREDIT, _WIDTH),
        *map(_paragraph, styles),
    ]
    return "\n\n".join(paragraphs)


def _read_style(name: str) -> ShippedStyle:
    path, picture = shipped_styles.bundle_path(name), shipped_styles.picture_path(name)
    metadata = load_metadata(path)
    facts = {
        "styles": [", ".join(metadata.get("styles") or ())],
        "size": [f"{path.stat().st_size / 1e6:.2f} MB"],
        "licence": [str(metadata.get("licence") or "unknown")],
        "data": [str(line) for line in metadata.get("credits") or ["unknown"]],
        "figures": _metrics(metadata),
    }
    return ShippedStyle(
        name,
        str(metadata.get("description") or ""),
        picture if picture.is_file() else None,
        {title: lines for title, lines in facts.items() if any(lines)},
    )


def _metrics(metadata: Mapping[str, Any]) -> list[str]:
    """A line a figure, below one that says what it was measured on."""
    if "measured" not in metadata:
        return [f"{key} {_number(v)}" for key, v in (metadata.get("figures") or {}).items()]
    lines = []
    for place, rows in itertools.groupby(limits.rows(metadata), key=lambda row: row[0]):
        lines.append(f"{place}:")
        for _, metric, value in rows:
            said = f"{limits.told(value):5s}  {metric.label}; {described(metric.source).better} is"
            limit = limits.verdict(metric, value)
            lines.append(f"{said} better" + (f", {limit}" if limit else ""))
    return lines


def _number(value: object) -> str:
    return limits.told(value) if isinstance(value, int | float) else str(value)


def _paragraph(style: ShippedStyle) -> str:
    lines = textwrap.wrap(f"{style.name}: {style.description}".rstrip(": "), _WIDTH)
    for title, items in (style.facts | {"picture": [str(style.picture or "none")]}).items():
        for i, item in enumerate(items):
            lines += textwrap.wrap(
                item,
                _WIDTH,
                initial_indent=f"  {'' if i else title:9}",
                subsequent_indent=" " * 11,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)
