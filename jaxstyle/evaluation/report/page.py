"""report.html: one self-contained page. Every string of the document is escaped on its way in."""

import base64
import hashlib
import importlib.resources
from collections.abc import Sequence
from html import escape

from jaxstyle.evaluation.report.columns import (
    FAMILIES,
    content_columns,
    cost_columns,
    metrics_of,
    names_of_kind,
    summary_columns,
)
from jaxstyle.evaluation.report.gallery import gallery
from jaxstyle.evaluation.report.html_tables import metrics_table, plain_table
from jaxstyle.evaluation.report.pictures import Strip
from jaxstyle.evaluation.report.plots import plot_svg, plots

_SECTIONS = {
    "summary": "Summary",
    "contents": "Figures by content",
    "plots": "Plots",
    "pictures": "Pictures",
    "glossary": "Metrics",
    "notes": "Notes",
    "reproduce": "How to reproduce",
}
_KINDS = {"model": "model", "results": "other system", "baseline": "baseline"}


def report_html(document: dict, strips: Sequence[Strip]) -> str:
    """The whole report as one page that loads nothing from elsewhere.

    Args:
      document: what report.json holds. "contents", "style", "metrics" (in each family, the first is
        the one that plots show), "contestants", "figures" (contestant -> content -> metric, None
        where it was not measured), "notes", "command", "date", "machine".
      strips: of each content to be shown, its pictures.

    Raises:
      ValueError: a figure is not finite.
    """
    assets = importlib.resources.files(__package__)
    style, script = (assets.joinpath(n).read_text("utf-8") for n in ("style.css", "zoom.js"))
    bodies = (
        _summary(document),
        _by_content(document),
        _plots(document),
        gallery(document, strips),
        _glossary(document),
        _notes(document),
        _reproduce(document),
    )
    sections = "\n".join(
        f'<section id="{name}"><h2>{title}</h2>\n{body}</section>'
        for (name, title), body in zip(_SECTIONS.items(), bodies, strict=True)
    )
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _SECTIONS.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of style transfer</title>
<style>
{style}</style>
</head>
<body>
<header><h1>Evaluation of style transfer</h1>
{_introduction(document)}
<nav aria-label="sections"><ul>{links}</ul></nav></header>
<main>
{sections}
</main>
<dialog aria-label="picture at full size"><img alt=""><p></p></dialog>
<script>{script}</script>
</body>
</html>
"""


def _policy(script: str) -> str:
    """A content security policy: nothing from elsewhere, and no script but the report's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )


def _introduction(document: dict) -> str:
    contestants = ", ".join(
        _count(len(names), what)
        for kind, what in _KINDS.items()
        if (names := names_of_kind(document, kind))
    )
    style = document["style"]
    if style:
        reference = f"{style['name']} ({_count(style['images'], 'image')})"
    elif any(content["truth"] for content in document["contents"]):
        reference = "the true stylized frames, where they are known"
    else:
        reference = "none given"
    contents = "".join(
        f"<li>{escape(content['name'])}: {_count(content['frames'], 'frame')} of "
        f"{content['width']}x{content['height']}"
        + (f" from {_count(content['clips'], 'clip')}" if content["clips"] else "")
        + (", true stylized frames known" if content["truth"] else "")
        + "</li>"
        for content in document["contents"]
    )
    return (
        f"<p>{contestants}, compared on the same frames of:</p>\n"
        f"<ul>{contents}</ul>\n<p>Style reference: {escape(reference)}.</p>"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _summary(document: dict) -> str:
    caption = (
        "Means over the contents. Bold: the best of the models, with which baselines and other "
        "systems do not compete."
    )
    html = metrics_table(document, summary_columns(document), caption)
    costs = cost_columns(document)
    if any(value is not None for column in costs for value in column.metrics.values()):
        html += metrics_table(document, costs, "What they cost. Bold: the best of the models.")
    return html


def _by_content(document: dict) -> str:
    return "".join(
        f"<h3>{escape(content['name'])}</h3>\n"
        + metrics_table(
            document,
            content_columns(document, content["name"]),
            f"{_count(content['frames'], 'frame')} of {content['width']}x{content['height']}",
        )
        for content in document["contents"]
    )


def _plots(document: dict) -> str:
    drawn = [
        f"<figure><h3>{escape(plot.title)}</h3>\n"
        + plot_svg(plot).replace("<svg", f'<svg role="img" aria-label="{escape(plot.title)}"', 1)
        + f"<figcaption>{escape(plot.description)}</figcaption></figure>"
        for plot in plots(document)
    ]
    return "\n".join(drawn) or "<p>No two figures were measured that a plot could relate.</p>"


def _glossary(document: dict) -> str:
    metrics = (document["metrics"][n] for family in FAMILIES for n in metrics_of(document, family))
    return plain_table(
        ("metric", "of", "better", "unit", "what it is"),
        (
            (m["label"], FAMILIES[m["family"]], m["better"] or "—", m["unit"] or "—", m["about"])
            for m in metrics
        ),
        "A figure relative to the input is divided by that of the unstylized input.",
    )


def _notes(document: dict) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in document["notes"])
    return f"<ul>{notes}</ul>" if notes else "<p>None.</p>"


def _reproduce(document: dict) -> str:
    facts = {
        "date": document["date"],
        "jaxstyle": document["jaxstyle"],
        **{name: "none" if v is None else v for name, v in document["machine"].items()},
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f"<pre>{escape(document['command'])}</pre>\n<dl>{rows}</dl>"
