"""The plots: style against content, steadiness in time, quality against speed."""

import dataclasses
import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxstyle.evaluation.catalogue import RELATIVE
from jaxstyle.evaluation.report.columns import (
    Column,
    figure,
    mean_column,
    metrics_of,
    names_of_kind,
)
from jaxstyle.evaluation.report.labels import label_points
from jaxstyle.evaluation.report.numbers import three_digits

# Okabe & Ito's colours, which the colour-blind can tell apart as well.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "///", "...", "xxx")
_GREY = "#808080"
# Text and axes. A colour that nothing else has, for in SVG the page's own takes its place.
_INK = "#232528"
_PANEL = (5.4, 4.2)  # inches
_LABEL_SIZE, _LONGEST_NAME = 9, 24  # points, characters
_STYLE: dict[Any, Any] = {
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "font.size": 10,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a name may hold a dollar sign
    "svg.fonttype": "none",  # text that can be selected and searched for
}


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot: the stem of its file, what it is called, what it shows, and how it is drawn."""

    name: str
    title: str
    description: str
    draw: Callable[[Figure], None]


def plots(document: dict) -> list[Plot]:
    """The plots that the document has figures for."""
    found = (_style_content(document), _temporal(document), _quality_speed(document))
    return [plot for plot in found if plot is not None]


def plot_png(plot: Plot) -> bytes:
    """A plot as PNG, on white."""
    return _saved(plot, format="png", dpi=150, facecolor="white")


def plot_svg(plot: Plot) -> str:
    """A plot as an <svg> element for a page, on nothing, in the colour of the text around it."""
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    svg = _saved(plot, format="svg", transparent=True, metadata=nothing).decode()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # The names of groups are the same in every plot; nothing refers to them.
    return re.sub(r'<g id="[^"]*"', "<g", svg)


def _saved(plot: Plot, **options: Any) -> bytes:
    data = io.BytesIO()
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": plot.name}), warnings.catch_warnings():
        # A name in a script that the font lacks: a browser has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = Figure(layout="constrained")
        plot.draw(canvas)
        canvas.savefig(data, **options)
    return data.getvalue()


def _style_content(document: dict) -> Plot | None:
    style, content = (_principal(document, family) for family in ("style", "content"))
    if style is None or content is None:
        return None
    panels = {}
    for each in document["contents"]:
        points = {
            contestant["name"]: (x, y)
            for contestant in document["contestants"]
            if (x := figure(document, contestant["name"], each["name"], content)) is not None
            and (y := figure(document, contestant["name"], each["name"], style)) is not None
        }
        if points:
            panels[each["name"]] = points
    if not panels:
        return None
    labels = [_axis_label(document["metrics"][metric]) for metric in (content, style)]

    def draw(canvas: Figure) -> None:
        for panel, (name, points) in _panels(canvas, panels, _PANEL):
            panel.set_title(_shortened(name))
            _scatter(panel, document, points, labels)
        _label_all(canvas, list(panels.values()))

    return Plot(
        "plot_style_content",
        "Style against content",
        f"A panel for each content. Across: {labels[0]}. Up: {labels[1]}.",
        draw,
    )


def _quality_speed(document: dict) -> Plot | None:
    style = _principal(document, "style")
    if style is None:
        return None
    quality = mean_column(document, style)
    points = {
        contestant["name"]: (contestant["frames_per_second"], quality.metrics[contestant["name"]])
        for contestant in document["contestants"]
        if contestant["frames_per_second"] and _comparable(quality, contestant["name"])
    }
    if not points:
        return None
    labels = ["frames per second (higher is better)", _axis_label(document["metrics"][style])]

    def draw(canvas: Figure) -> None:
        canvas.set_size_inches(1.4 * _PANEL[0], _PANEL[1])
        panel = canvas.subplots()
        _scatter(panel, document, points, labels)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        _label_all(canvas, [points])

    return Plot(
        "plot_quality_speed",
        "Style against speed",
        f"Across, logarithmic: {labels[0]}. Up: {labels[1]}, mean over the contents.",
        draw,
    )


def _temporal(document: dict) -> Plot | None:
    metrics = [m for m in metrics_of(document, "temporal") if m.endswith(RELATIVE)]
    names = [contestant["name"] for contestant in document["contestants"]]
    panels = {}
    for content in document["contents"]:
        bars = {m: [figure(document, name, content["name"], m) for name in names] for m in metrics}
        if any(value is not None for values in bars.values() for value in values):
            panels[content["name"]] = bars
    if not panels:
        return None
    labels = {metric: document["metrics"][metric]["label"] for metric in metrics}
    height = 1.1 + len(names) * (0.12 + 0.2 * len(metrics))

    def draw(canvas: Figure) -> None:
        for panel, (content, bars) in _panels(canvas, panels, (_PANEL[0], height), "row"):
            panel.set_title(_shortened(content))
            _grouped_bars(panel, names, bars, labels)
        handles, texts = canvas.axes[0].get_legend_handles_labels()
        # Side by side they are wider than a single panel.
        columns = len(texts) if len(panels) > 1 else 1
        canvas.legend(handles, texts, loc="outside upper left", ncols=columns, frameon=False)

    return Plot(
        "plot_temporal",
        "Steadiness in time",
        f"Bars for each contestant, a panel for each content: {', '.join(labels.values())}. "
        "1, the dashed line, is the unstylized input's own figure, or 0.5/255 if that is less; "
        "lower is steadier.",
        draw,
    )


def _principal(document: dict, family: str) -> str | None:
    return next(iter(metrics_of(document, family)), None)


def _comparable(column: Column, name: str) -> bool:
    return column.metrics[name] is not None and name not in column.partial


def _axis_label(metric: dict) -> str:
    unit = f" [{metric['unit']}]" if metric["unit"] else ""
    better = f" ({metric['better']} is better)" if metric["better"] else ""
    return f"{metric['label']}{unit}{better}"


def _panels(
    canvas: Figure,
    panels: dict[str, Any],
    size: tuple[float, float],
    sharey: Literal["none", "row"] = "none",
) -> list[tuple[Axes, tuple[str, Any]]]:
    """Pairs of axes and an item of `panels`, two axes in a row."""
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    canvas.set_size_inches(columns * size[0], rows * size[1])
    axes = list(canvas.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for unused in axes[len(panels) :]:
        unused.remove()
    return list(zip(axes, panels.items(), strict=False))


def _scatter(panel: Axes, document: dict, points: dict, labels: Sequence[str]) -> None:
    """A marker for each contestant: filled for models, in colours; open and grey for baselines."""
    baselines = names_of_kind(document, "baseline")
    for number, contestant in enumerate(document["contestants"]):
        name = contestant["name"]
        if name not in points:
            continue
        color = _GREY if name in baselines else _COLORS[number % len(_COLORS)]
        panel.plot(
            *points[name],
            _MARKERS[number % len(_MARKERS)],
            color=color,
            markerfacecolor="none" if name in baselines else color,
            markersize=8,
            markeredgewidth=1.5,
        )
    panel.margins(0.16)
    panel.grid(color=_GREY, alpha=0.25)
    panel.set_xlabel(labels[0])
    panel.set_ylabel(labels[1])


def _label_all(canvas: Figure, panels: Sequence[dict]) -> None:
    """Names the points, once the panels are where they will be."""
    canvas.draw_without_rendering()
    for panel, points in zip(canvas.axes, panels, strict=True):
        named = [(x, y, _shortened(name)) for name, (x, y) in points.items()]
        label_points(panel, named, _LABEL_SIZE)


def _grouped_bars(panel: Axes, names: Sequence[str], bars: dict, labels: dict) -> None:
    width = 0.8 / len(bars)
    for number, (metric, values) in enumerate(bars.items()):
        places = [i + (number - (len(bars) - 1) / 2) * width for i in range(len(names))]
        drawn = panel.barh(
            places,
            [value or 0.0 for value in values],
            0.9 * width,
            color=_COLORS[number % len(_COLORS)],
            hatch=_HATCHES[number % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
            label=labels[metric],
        )
        texts = ["—" if value is None else three_digits(value) for value in values]
        panel.bar_label(drawn, texts, padding=3, fontsize=_LABEL_SIZE)
    panel.axvline(1, color=_INK, linestyle="--", linewidth=0.8, alpha=0.6)
    panel.set_yticks(range(len(names)), [_shortened(name) for name in names])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.margins(x=0.14)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color=_GREY, alpha=0.25)
    panel.set_xlabel("ratio to the input (lower is better)")


def _shortened(name: str) -> str:
    """Cut in the middle: what tells the names of runs apart is at either end."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = _LONGEST_NAME // 2
    return f"{name[:half]}…{name[-half:]}"
