"""What there is to know of the styles that ship, as one page with their pictures."""

import base64
import importlib.resources
from collections.abc import Sequence
from html import escape

from jaxstyle.styles.listing import CREDIT, HOW_TO_USE, ShippedStyle

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def styles_html(styles: Sequence[ShippedStyle]) -> str:
    """One page that loads nothing from elsewhere, in the look of the evaluation's report."""
    css = (
        importlib.resources.files("jaxstyle.evaluation")
        .joinpath("report/style.css")
        .read_text("utf-8")
    )
    links = "".join(f'<li><a href="#{escape(s.name)}">{escape(s.name)}</a></li>' for s in styles)
    sections = "\n".join(map(_section, styles)) or "<p>None in this installation.</p>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Styles that ship with jaxstyle</title>
<style>
{css}section img {{ display: block; max-width: 100%; height: auto; margin: 1rem 0; }}
dd {{ grid-column: 2; }}  /* a title may have several lines */
</style>
</head>
<body>
<header><h1>Styles that ship with jaxstyle</h1>
<pre>{escape(HOW_TO_USE)}</pre>
<p>{escape(CREDIT)}</p>
<nav aria-label="styles"><ul>{links}</ul></nav></header>
<main>
{sections}
</main>
</body>
</html>
"""


def _section(style: ShippedStyle) -> str:
    name = escape(style.name)
    facts = "".join(
        f"<dt>{escape(title)}</dt>" + "".join(f"<dd>{escape(line)}</dd>" for line in lines)
        for title, lines in style.facts.items()
    )
    return (
        f'<section id="{name}"><h2>{name}</h2>\n<p>{escape(style.description)}</p>\n'
        f"{_picture(style)}<dl>{facts}</dl></section>"
    )


def _picture(style: ShippedStyle) -> str:
    if style.picture is None:
        return ""
    data = base64.b64encode(style.picture.read_bytes()).decode()
    alt = escape(f"photos, and what {style.name} makes of them")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{alt}">\n'
