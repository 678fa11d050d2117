"""What came out of a sweep: which setting is best by a figure, how much is chance, how it looks."""

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxstyle.errors import UserError
from jaxstyle.evaluation.catalogue import described
from jaxstyle.evaluation.catalogue import names as catalogue_names
from launch.sweep.runs import Run, setting_of

_SEED = "seed"
# Of the picture: more settings than this are left out, the worst of them.
_MOST_SETTINGS = 30
_PICTURES = 3


@dataclasses.dataclass(frozen=True)
class Result:
    """A run with figures. setting: the overrides that vary, less the seed. step: that of figures,
    by their names in `evaluation.catalogue`. finished: whether that is the last one.
    """

    run: Run
    setting: Mapping[str, Any]
    step: int
    finished: bool
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Setting:
    """The results of one setting with all its seeds, the best first.

    mean: of the chosen figure over the finished ones, or over all where none is. spread: its sample
    standard deviation over the same; None for a single one.
    """

    values: Mapping[str, Any]
    results: tuple[Result, ...]
    mean: float
    spread: float | None


def varying(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Returns by the name of each run the settings in which the runs differ, seed last."""
    names = sorted({name for run in runs for name in run.overrides}, key=lambda n: (n == _SEED, n))
    values = {run.name: {name: setting_of(run.config, name) for name in names} for run in runs}
    kept = [n for n in names if len({repr(found[n]) for found in values.values()}) > 1]
    return {run: {name: found[name] for name in kept} for run, found in values.items()}


def ranked(results: Sequence[Result], by: str) -> list[Setting]:
    """Returns the settings, the best by the mean of a figure first.

    by: its name in `evaluation.catalogue`. Results that lack it, or have it as NaN, are left out.
    Raises `UserError` if no result has it.
    """
    known = [r for r in results if math.isfinite(r.metrics.get(by, math.nan))]
    if not known:
        there = [n for n in catalogue_names() if any(n in r.metrics for r in results)]
        raise UserError(f"no run has the figure {by!r}; there are: {', '.join(there) or 'none'}")
    sign = 1 if described(by).better == "lower" else -1
    groups: dict[str, list[Result]] = {}
    for result in known:
        groups.setdefault(repr(sorted(result.setting.items())), []).append(result)
    settings = []
    for group in groups.values():
        group.sort(key=lambda r: sign * r.metrics[by])
        counted = [r.metrics[by] for r in group if r.finished] or [r.metrics[by] for r in group]
        spread = statistics.stdev(counted) if len(counted) > 1 else None
        settings.append(Setting(group[0].setting, tuple(group), statistics.fmean(counted), spread))
    # Half-trained ones are no match for finished ones, whatever their figures.
    return sorted(settings, key=lambda s: (not any(r.finished for r in s.results), sign * s.mean))


def results_csv(settings: Sequence[Setting], by: str, vary: Mapping[str, Mapping]) -> str:
    """The results as CSV, a line each: settings from best to worst, and so the runs in them.

    by: the figure that `settings` are ranked by. vary: as `varying` returns it. Columns: the run,
    the settings that vary, step, whether it is finished, mean and spread of the figure over the
    seeds of the setting, and all figures.
    """
    results = [result for setting in settings for result in setting.results]
    names = [n for n in catalogue_names() if any(n in r.metrics for r in results)]
    names.sort(key=lambda name: name != by)
    columns = list(vary[results[0].run.name])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *columns, "step", "finished", f"mean {by}", f"spread {by}", *names])
    for setting in settings:
        for result in setting.results:
            writer.writerow(
                [
                    result.run.name,
                    *(vary[result.run.name][column] for column in columns),
                    result.step,
                    "yes" if result.finished else "no",
                    f"{setting.mean:.6g}",
                    "" if setting.spread is None else f"{setting.spread:.6g}",
                    *(f"{result.metrics[n]:.6g}" if n in result.metrics else "" for n in names),
                ]
            )
    return text.getvalue()


def results_table(settings: Sequence[Setting], by: str) -> str:
    """The settings for people, a line each, the best first."""
    metric = described(by)
    rows = [("setting", "runs", f"mean {by}", "spread", "each")]
    for setting in settings:
        finished = sum(result.finished for result in setting.results)
        count = len(setting.results)
        rows.append(
            (
                setting_text(setting.values),
                f"{count}" if finished == count else f"{finished} of {count}",
                f"{setting.mean:.4g}",
                "" if setting.spread is None else f"{setting.spread:.2g}",
                ", ".join(f"{result.metrics[by]:.4g}" for result in setting.results),
            )
        )
    return f"{metric.label}, {metric.better} is better:\n{aligned(rows)}"


def results_png(settings: Sequence[Setting], by: str) -> bytes:
    """The results as a picture, PNG.

    The chosen figure of each setting, the best on top: a dot a seed (hollow where the run is not
    finished) and a line at the mean; below, the latest pictures of the best runs, where there are
    any.
    """
    shown = settings[:_MOST_SETTINGS]
    best = [result for setting in shown for result in setting.results[:1]][:_PICTURES]
    pictures = [(result, found) for result in best if (found := _picture(result.run)) is not None]
    heights = [0.9 + 0.32 * len(shown), *([4.0] if pictures else [])]
    figure = Figure(figsize=(9, sum(heights) + 0.6), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_dots(parts[0].subplots(), shown, len(settings), by)
    if pictures:
        for panel, (result, (picture, columns)) in zip(
            parts[1].subplots(1, len(pictures), squeeze=False)[0], pictures, strict=True
        ):
            panel.imshow(picture)
            title = f"{_label(result)}\n{by} {result.metrics[by]:.4g}\n{columns}"
            panel.set_title(title, fontsize="small")
            panel.set_axis_off()
    png = io.BytesIO()
    figure.savefig(png, dpi=150)
    return png.getvalue()


def setting_text(values: Mapping[str, Any]) -> str:
    """The overrides of a setting for people: "losses.warp.weight=4, steps=100"."""
    return ", ".join(f"{name}={_short(value)}" for name, value in values.items()) or "all alike"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _draw_dots(panel: Axes, shown: Sequence[Setting], count: int, by: str) -> None:
    for y, setting in enumerate(shown):
        panel.plot([setting.mean] * 2, [y - 0.3, y + 0.3], color="#D55E00", linewidth=2, zorder=1)
        for finished in (True, False):
            values = [r.metrics[by] for r in setting.results if r.finished == finished]
            face = "#0072B2" if finished else "none"
            panel.scatter(
                values, [y] * len(values), s=36, facecolors=face, edgecolors="#0072B2", zorder=2
            )
    panel.set_yticks(range(len(shown)), [setting_text(s.values) for s in shown], fontsize="small")
    panel.set_ylim(len(shown) - 0.4, -0.6)
    metric = described(by)
    left_out = f"; {count - len(shown)} more are worse" if count > len(shown) else ""
    panel.set_xlabel(f"{metric.label} ({by}), {metric.better} is better{left_out}")
    panel.set_title(
        "a dot is a run (hollow: not finished), the line their mean", fontsize="small", loc="left"
    )
    panel.grid(color="0.92")
    panel.set_axisbelow(True)


def _picture(run: Run) -> tuple[np.ndarray, str] | None:
    """Its evaluation sheet, or else its newest sample, uint8 [H, W, 3], and what its columns are;
    None without one. (Runs with figures make their pictures of others, not of noise.)
    """
    output = "output in each style" if run.config.data.styles else "output"
    folder = run.workdir / "samples"
    newest: list[Path] = sorted(folder.glob("[0-9]*.png"))[-1:]
    for path in (folder / "evaluation.png", *newest):
        # Samples of a single style show it as well.
        has_style = path in newest and not run.config.data.styles
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.exists() else None
        if picture is not None:
            return picture, f"input | {output}" + (" | style" if has_style else "")
    return None


def _label(result: Result) -> str:
    seed = {_SEED: result.run.overrides[_SEED]} if _SEED in result.run.overrides else {}
    return setting_text({**result.setting, **seed}).replace(", ", "\n")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
