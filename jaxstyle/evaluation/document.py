"""What report.json holds: all figures, and what they were measured on."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import jaxstyle
from jaxstyle.benchmark.machine import describe_machine, versions
from jaxstyle.evaluation import catalogue
from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.contestants import Contestant
from jaxstyle.evaluation.costs import UNKNOWN
from jaxstyle.evaluation.measure import Metrics

FORMAT = "jaxstyle-evaluation-1"


def report_document(
    contents: Sequence[Content],
    contestants: Sequence[Contestant],
    metrics: dict[str, dict[str, Metrics]],
    costs: dict[str, dict[str, Any]],
    *,
    style: dict[str, Any] | None,
    notes: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """The document, of what JSON can hold.

    Args:
      contents: what was stylized.
      contestants: who was compared.
      figures: by contestant and content, as of `measure.with_relative`.
      costs: by contestant, as of `costs.measure_costs`; those left out are unknown.
      style: {"name", "images"} of the pictures that the contents should look like, if given.
      notes: what a reader should know of the figures, a line each.
      command: what to type for the same again.
    """
    return {
        "format": FORMAT,
        "jaxstyle": jaxstyle.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": describe_machine(),
        "versions": versions(),
        "contents": [_told(content) for content in contents],
        "style": style,
        "metrics": {
            name: dataclasses.asdict(catalogue.described(name))
            for name in catalogue.names()
            if _is_known(name, metrics)
        },
        "contestants": [
            {"name": c.name, "kind": c.kind, **costs.get(c.name, UNKNOWN)} for c in contestants
        ],
        "figures": metrics,
        "notes": list(notes),
    }


def _is_known(name: str, metrics: dict[str, dict[str, Metrics]]) -> bool:
    """Whether anybody has this figure anywhere."""
    return any(cell[name] is not None for row in metrics.values() for cell in row.values())


def _told(content: Content) -> dict[str, Any]:
    height, width = content.size
    return {
        "name": content.name,
        "frames": sum(len(clip.frames) for clip in content.clips),
        "width": width,
        "height": height,
        "clips": len(content.clips) if content.moves else 0,
        "truth": content.has_truth,
    }
