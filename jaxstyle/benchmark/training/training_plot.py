"""The results as a figure: milliseconds a step and memory, a bar for each contestant."""

import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from jaxstyle.benchmark.plot import COLORS


def plot_png(entries: Sequence[dict], machine: dict) -> bytes:
    """The figure as PNG, a row for each recipe. Whiskers go from the fastest step to the 95th
    percentile.

    entries, machine: as in training.json. What failed or is not comparable is left out.
    """
    figure = Figure(figsize=(8, 1.2 + 1.4 * len(entries)), layout="constrained")
    panels = figure.subplots(len(entries), 2, squeeze=False)
    for (times, memory), entry in zip(panels, entries, strict=True):
        found = {n: c for n, c in entry["contestants"].items() if c.get("comparable")}
        names, colors = list(found), COLORS[: len(found)]
        medians = [c["median_ms"] for c in found.values()]
        below = [c["median_ms"] - c["min_ms"] for c in found.values()]
        above = [max(0.0, c["p95_ms"] - c["median_ms"]) for c in found.values()]
        times.barh(names, medians, xerr=[below, above], color=colors)
        memory.barh(names, [c["peak_memory_mib"] for c in found.values()], color=colors)
        for panel in (times, memory):
            panel.invert_yaxis()
            panel.grid(axis="x", color="0.92")
            panel.set_axisbelow(True)
        memory.set_yticklabels([])
        times.set_title(
            f"{entry['recipe']}, {entry['image_size']} px, batch {entry['batch']}",
            loc="left",
            fontsize="medium",
        )
    panels[-1, 0].set_xlabel("ms a step")
    panels[-1, 1].set_xlabel("peak memory, MiB")
    where = machine["accelerator"] or f"{machine['cpu']}, {machine['cores']} cores"
    figure.supxlabel(f"measured on {where}", fontsize="small")
    png = io.BytesIO()
    figure.savefig(png, dpi=150)
    return png.getvalue()
