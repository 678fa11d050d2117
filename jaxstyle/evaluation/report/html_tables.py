"""The tables of figures, as HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from jaxstyle.evaluation.report.columns import FAMILIES, Column, names_of_kind
from jaxstyle.evaluation.report.numbers import aligned

_KINDS = {"model": "Models", "results": "Results of other systems", "baseline": "Baselines"}
_ARROWS = {
    "lower": '&nbsp;<abbr title="lower is better">↓</abbr>',
    "higher": '&nbsp;<abbr title="higher is better">↑</abbr>',
    None: "",
}
_NOT_MEASURED = '<abbr title="not measured">—</abbr>'
_PARTIAL = '<abbr class="partial" title="not measured on every content">†</abbr>'


def metrics_table(document: dict, columns: Sequence[Column], caption: str) -> str:
    """A row for each contestant, by kind; the best of the models is bold.

    Columns without any figure are named below the table instead.
    """
    shown = [c for c in columns if any(value is not None for value in c.metrics.values())]
    empty = [column.label for column in columns if column not in shown]
    body = "".join(
        _rows(title, names, shown, _cells(document, shown))
        for kind, title in _KINDS.items()
        if (names := names_of_kind(document, kind))
    )
    return (
        f'<div class="wide"><table class="figures"><caption>{escape(caption)}</caption>'
        f"{_head(shown)}{body}</table></div>{_legend(shown, empty)}"
    )


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """A table of text; the first entry of each row names it."""
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide"><table class="text"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(columns: Sequence[Column]) -> str:
    families = "".join(
        f'<th scope="colgroup" class="family" colspan="{len(list(members))}">'
        f"{escape(FAMILIES[family])}</th>"
        for family, members in groupby(columns, key=lambda column: column.family)
    )
    labels = "".join(
        f'<th scope="col"{_first_of_family(columns, i)}>{escape(column.label)}'
        + (f" [{escape(column.unit)}]" if column.unit else "")
        + f"{_ARROWS[column.better]}</th>"
        for i, column in enumerate(columns)
    )
    name = '<th scope="col" rowspan="2">contestant</th>'
    return f"<thead><tr>{name}{families}</tr><tr>{labels}</tr></thead>"


def _first_of_family(columns: Sequence[Column], i: int) -> str:
    """The class that draws a line between families."""
    return ' class="family"' if i == 0 or columns[i - 1].family != columns[i].family else ""


def _cells(document: dict, columns: Sequence[Column]) -> dict[str, str]:
    """The cells of each contestant's row."""
    models = names_of_kind(document, "model")
    rows = dict.fromkeys((contestant["name"] for contestant in document["contestants"]), "")
    for i, column in enumerate(columns):
        best = column.best(models)
        measured = {name: text for name in rows if (text := column.text(name)) is not None}
        texts = dict(zip(measured, aligned(list(measured.values())), strict=True))
        for name in rows:
            text = texts.get(name, _NOT_MEASURED)
            if name in column.partial:
                text += _PARTIAL
            if name in best:
                text = f"<strong>{text}</strong>"
            rows[name] += f"<td{_first_of_family(columns, i)}>{text}</td>"
    return rows


def _rows(title: str, names: Sequence[str], columns: Sequence[Column], cells: dict) -> str:
    head = f'<tr><th scope="rowgroup" class="kind" colspan="{len(columns) + 1}">{title}</th></tr>'
    rows = (f'<tr><th scope="row">{escape(name)}</th>{cells[name]}</tr>' for name in names)
    return f"<tbody>{head}{''.join(rows)}</tbody>"


def _legend(columns: Sequence[Column], empty: Sequence[str]) -> str:
    parts = []
    if any(value is None for column in columns for value in column.metrics.values()):
        parts.append('— not measured, see the <a href="#notes">notes</a>.')
    if any(column.partial for column in columns):
        parts.append("† mean over fewer contents than that of others; does not compete.")
    if empty:
        parts.append(f"Without any figure here: {escape(', '.join(empty))}.")
    return f'<p class="legend">{" ".join(parts)}</p>' if parts else ""
