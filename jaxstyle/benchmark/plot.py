"""The results as a figure: milliseconds a frame by size, a panel for each model and kind."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from jaxstyle.benchmark.cells import KINDS
from jaxstyle.benchmark.tables import KIND_LABELS

# Okabe & Ito's colours, which the colour-blind can tell apart as well.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_FRAME_RATES = (30, 60)


def plot_png(cells: Sequence[dict], machine: dict) -> bytes:
    """The figure as PNG. Dots are medians, whiskers go from the minimum to the 95th percentile.

    cells, machine: as in benchmark.json. What failed or is not comparable is left out.
    """
    models = list(dict.fromkeys(cell["model"] for cell in cells))
    names = list(dict.fromkeys(name for cell in cells for name in cell["contestants"]))
    figure = Figure(figsize=(1.5 + 2.8 * len(models), 6.5), layout="constrained")
    panels = figure.subplots(len(KINDS), len(models), sharex="col", sharey=True, squeeze=False)
    for row, kind in zip(panels, KINDS, strict=True):
        for panel, model in zip(row, models, strict=True):
            _draw_panel(panel, [c for c in cells if c["model"] == model], names, kind)
        row[0].set_yscale("log")
        row[0].yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
        row[0].set_ylabel(f"{KIND_LABELS[kind]}\nms per frame")
    for panel, model in zip(panels[0], models, strict=True):
        panel.set_title(model)
    for rate in _FRAME_RATES:
        for panel in panels[:, -1]:
            panel.annotate(
                f"{rate} fps", (1.01, 1e3 / rate), xycoords=("axes fraction", "data"), va="center"
            )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(names), frameon=False)
    where = machine["accelerator"] or f"{machine['cpu']}, {machine['cores']} cores"
    figure.supxlabel(f"frame size (measured on {where})", fontsize="medium")
    png = io.BytesIO()
    figure.savefig(png, dpi=150)
    return png.getvalue()


def _draw_panel(panel: Axes, cells: Sequence[dict], names: Sequence[str], kind: str) -> None:
    for number, name in enumerate(names):
        offset = 0.12 * (number - (len(names) - 1) / 2)
        found = [
            (position + offset, cell["batch"], cell["contestants"][name][kind])
            for position, cell in enumerate(cells)
            if cell["contestants"].get(name, {}).get(kind, {}).get("comparable")
        ]
        medians = [metrics["median_ms"] / batch for _, batch, metrics in found]
        below = [(f["median_ms"] - f["min_ms"]) / batch for _, batch, f in found]
        above = [max(0.0, f["p95_ms"] - f["median_ms"]) / batch for _, batch, f in found]
        panel.errorbar(
            [x for x, _, _ in found],
            medians,
            yerr=[below, above],
            fmt=_MARKERS[number % len(_MARKERS)],
            color=COLORS[number % len(COLORS)],
            markersize=6,
            linewidth=1.2,
            label=name,
        )
    for rate in _FRAME_RATES:
        panel.axhline(1e3 / rate, color="0.6", linestyle=":", linewidth=1, zorder=0)
    panel.set_xticks(range(len(cells)), [_tick_label(cell) for cell in cells])
    panel.set_xlim(-0.5, len(cells) - 0.5)
    panel.grid(axis="y", color="0.92")
    panel.set_axisbelow(True)


def _tick_label(cell: dict) -> str:
    lines = [f"{cell['width']}x{cell['height']}"]
    if cell["batch"] > 1:
        lines.append(f"batch {cell['batch']}")
    if cell["dtype"] != "float32":
        lines.append(cell["dtype"])
    return "\n".join(lines)
