"""A report's figures as a table for the terminal."""

from jaxstyle.evaluation.catalogue import described

# What says most, in the order of the columns.
_COLUMNS = (
    "swd/relative",
    "color_histogram",
    "kid",
    "truth_ssim",
    "ms_ssim",
    "edge_f1",
    "warp_short/relative",
    "warp_long/relative",
    "flicker/relative",
)
_ARROWS = {"lower": "↓", "higher": "↑"}


def summary(document: dict) -> str:
    """A table of the contestants for each content of report.json, with the figures that are there.

    An arrow says which way a figure is better; a dash, that it could not be measured.
    """
    blocks = []
    for content in document["contents"]:
        metrics = {name: of[content["name"]] for name, of in document["figures"].items()}
        columns = [c for c in _COLUMNS if any(of.get(c) is not None for of in metrics.values())]
        header = [content["name"], *(f"{c} {_ARROWS[described(c).better]}" for c in columns)]
        rows = [[name, *(_told(of.get(c)) for c in columns)] for name, of in metrics.items()]
        blocks.append(_aligned([header, *rows]))
    return "\n\n".join(blocks)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _aligned(rows: list[list[str]]) -> str:
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, others, strict=True))
        lines.append("  ".join([name.ljust(first), *numbers]))
    return "\n".join(lines)
