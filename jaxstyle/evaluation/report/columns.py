"""What the tables show: a column for each metric and each cost, a figure for each contestant."""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxstyle.evaluation.catalogue import RELATIVE
from jaxstyle.evaluation.report.numbers import three_digits

# In the order of the report.
FAMILIES = {
    "style": "Style",
    "content": "Content",
    "truth": "Truth",
    "temporal": "Steadiness in time",
    "judge": "Judge",
    "cost": "Cost",
}


@dataclasses.dataclass(frozen=True)
class Column:
    """One measure of all contestants.

    better: "lower", "higher" or None. figures: by contestant, None where it was not measured.
    partial: the contestants whose figure is a mean over fewer contents than that of others.
    """

    family: str
    label: str
    unit: str
    better: str | None
    metrics: Mapping[str, float | None]
    partial: frozenset[str] = frozenset()

    def text(self, contestant: str) -> str | None:
        """The figure as it is printed: counts in full, all else to three digits."""
        value = self.metrics[contestant]
        if value is None:
            return None
        return f"{value:,}" if isinstance(value, int) else three_digits(value)

    def best(self, among: Sequence[str]) -> set[str]:
        """The best of some contestants: all of those whose printed figures are equal.

        Empty where there are not two to choose from. A partial mean does not compete.
        """
        competing = {
            name: value
            for name in among
            if (value := self.metrics[name]) is not None and name not in self.partial
        }
        if self.better is None or len(competing) < 2:
            return set()
        choose = {"lower": min, "higher": max}[self.better]
        winner = self.text(choose(competing, key=competing.__getitem__))
        return {name for name in competing if self.text(name) == winner}


def names_of_kind(document: dict, kind: str) -> list[str]:
    """The contestants that are "model", "results" or "baseline"."""
    return [c["name"] for c in document["contestants"] if c["kind"] == kind]


def metrics_of(document: dict, family: str) -> list[str]:
    """The metrics of a family. The first is its principal one, which the plots show."""
    return [name for name, metric in document["metrics"].items() if metric["family"] == family]


def figure(document: dict, contestant: str, content: str, metric: str) -> float | None:
    """One figure of the document; None where it was not measured."""
    return document["figures"].get(contestant, {}).get(content, {}).get(metric)


def content_columns(document: dict, content: str) -> list[Column]:
    """All metrics on one content, by family."""
    return [_metric_column(document, name, [content]) for name in _ordered(document)]


def summary_columns(document: dict) -> list[Column]:
    """Means over the contents, by family.

    Of a metric that is also given relative to the input, only that: means over contents that move
    differently are hard to compare otherwise.
    """
    shown = [name for name in _ordered(document) if name + RELATIVE not in document["metrics"]]
    return [mean_column(document, name) for name in shown]


def mean_column(document: dict, metric: str) -> Column:
    """A metric's means over the contents."""
    return _metric_column(document, metric, [content["name"] for content in document["contents"]])


def cost_columns(document: dict) -> list[Column]:
    """What the contestants cost, whatever the content."""
    contestants = document["contestants"]

    def column(label: str, unit: str, better: str, metrics: Sequence[float | None]) -> Column:
        names = (contestant["name"] for contestant in contestants)
        return Column("cost", label, unit, better, dict(zip(names, metrics, strict=True)))

    def plain(key: str) -> list[float | None]:
        return [contestant[key] for contestant in contestants]

    gflop = [contestant["gflop"] or {} for contestant in contestants]
    sizes = dict.fromkeys(size for by_size in gflop for size in by_size)
    return [
        column("parameters", "", "lower", plain("parameters")),
        *(
            column(f"computation at {size}", "GFLOP", "lower", [g.get(size) for g in gflop])
            for size in sizes
        ),
        column("speed", "frames/s", "higher", plain("frames_per_second")),
        column("latency", "ms", "lower", plain("latency_ms")),
    ]


def _ordered(document: dict) -> list[str]:
    return [name for family in FAMILIES for name in metrics_of(document, family)]


def _metric_column(document: dict, metric: str, contents: Sequence[str]) -> Column:
    measured = {
        contestant["name"]: {
            content: value
            for content in contents
            if (value := figure(document, contestant["name"], content, metric)) is not None
        }
        for contestant in document["contestants"]
    }
    everywhere = set().union(*measured.values())
    about = document["metrics"][metric]
    return Column(
        about["family"],
        about["label"],
        about["unit"],
        about["better"],
        {
            name: sum(values.values()) / len(values) if values else None
            for name, values in measured.items()
        },
        frozenset(name for name, values in measured.items() if values and everywhere - set(values)),
    )
