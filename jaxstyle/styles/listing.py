"""What there is to know of the styles that ship, as text."""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.bundle import load_metadata
from jaxstyle.styles import shipped

HOW_TO_USE = """\
python -m jaxstyle.stylize 0 window --model=NAME            the camera, live
python -m jaxstyle.stylize film.mp4 out.mp4 --model=NAME    a film
python -m jaxstyle.stylize photos/ out/ --model=NAME        photos"""

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


def read_styles() -> list[ShippedStyle]:
    """The styles that ship, in the order of their names.

    Raises `UserError` if a bundle in the folder is damaged.
    """
    return [_read_style(name) for name in shipped.names()]


def as_text(styles: Sequence[ShippedStyle]) -> str:
    """The styles for a terminal, and how to use one."""
    if not styles:
        return "no styles ship with this installation"
    paragraphs = [
        "Styles that ship with jaxstyle; NAME is one of: "
        + ", ".join(style.name for style in styles),
        HOW_TO_USE,
        *map(_paragraph, styles),
    ]
    return "\n\n".join(paragraphs)


def _read_style(name: str) -> ShippedStyle:
    path, picture = shipped.bundle_path(name), shipped.picture_path(name)
    metadata = load_metadata(path)
    figures = metadata.get("figures") or {}
    facts = {
        "styles": [", ".join(metadata.get("styles") or ())],
        "size": [f"{path.stat().st_size / 1e6:.2f} MB"],
        "licence": [str(metadata.get("licence") or "unknown")],
        "data": [str(line) for line in metadata.get("credits") or ["unknown"]],
        "figures": [f"{title} {_number(value)}" for title, value in figures.items()],
    }
    return ShippedStyle(
        name,
        str(metadata.get("description") or ""),
        picture if picture.is_file() else None,
        {title: lines for title, lines in facts.items() if any(lines)},
    )


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)


def _paragraph(style: ShippedStyle) -> str:
    lines = textwrap.wrap(f"{style.name}: {style.description}".rstrip(": "), _WIDTH)
    for title, items in (style.facts | {"picture": [str(style.picture or "none")]}).items():
        # Figures are short: together on as few lines as they take.
        items = [", ".join(items)] if title == "figures" else items
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
