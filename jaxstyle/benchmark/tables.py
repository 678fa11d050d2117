"""The results as text: aligned tables, and notes on what they have no room for."""

from collections.abc import Iterator, Sequence

from jaxstyle.benchmark.cells import KINDS
from jaxstyle.benchmark.timings import ratio_to_best_peer

KIND_LABELS = {"device": "device only", "end_to_end": "end to end"}
_CELL_HEAD = ("model", "size", "batch", "dtype", "measured")


def metrics_table(cells: Sequence[dict]) -> str:
    """jaxstyle's own figures, one line for each cell and kind."""
    head = (
        *("median ms", "min", "p95", "frames/s", "GFLOP/s"),
        *("GFLOP", "parameters", "compile s", "peak MiB"),
    )
    rows: list[tuple[str, ...]] = [(*_CELL_HEAD, *head)]
    for cell, kind in _lines(cells):
        own = cell["contestants"]["jaxstyle"]
        where = _where(cell, kind)
        if "failed" in own:
            rows.append((*where, _failure(own), *[""] * (len(head) - 1)))
            continue
        metrics = own[kind]
        rows.append(
            (
                *where,
                *(f"{metrics[name]:.2f}" for name in ("median_ms", "min_ms", "p95_ms")),
                f"{metrics['frames_per_second']:.1f}",
                f"{metrics['gflop_per_second']:.1f}",
                f"{cell['gflop']:.3f}",
                f"{cell['parameters']:,}",
                f"{own['compile_seconds']:.2f}",
                f"{own['peak_memory_mib']:.0f}",
            )
        )
    return aligned(rows, left=len(_CELL_HEAD))


def peers_table(cells: Sequence[dict], peers: Sequence[str]) -> str:
    """Median milliseconds a call of all contestants, and jaxstyle's over the best peer's."""
    names = ("jaxstyle", *peers)
    rows: list[tuple[str, ...]] = [(*_CELL_HEAD, *names, "jaxstyle/best peer")]
    for cell, kind in _lines(cells):
        contestants = cell["contestants"]
        ratio = ratio_to_best_peer(contestants, kind)
        medians = (
            _median(contestants[name], kind) if name in contestants else "-" for name in names
        )
        rows.append((*_where(cell, kind), *medians, f"{ratio:.2f}" if ratio else "-"))
    return aligned(rows, left=len(_CELL_HEAD))


def comparison_table(cells: Sequence[dict], earlier: Sequence[dict]) -> str:
    """Median milliseconds a call then and now, of the figures that both runs have; "" if none."""
    then, now = _medians(earlier), _medians(cells)
    rows: list[tuple[str, ...]] = [(*_CELL_HEAD, "contestant", "then ms", "now ms", "now/then")]
    for key in now:
        if key in then:
            ratio = now[key] / then[key]
            rows.append((*key, f"{then[key]:.2f}", f"{now[key]:.2f}", f"{ratio:.2f}"))
    return aligned(rows, left=len(_CELL_HEAD) + 1) if len(rows) > 1 else ""


def notes(cells: Sequence[dict]) -> list[str]:
    """Why figures are missing from the tables or marked in them, one line each."""
    lines = []
    for cell in cells:
        where = " ".join(_where(cell, KINDS[0])[:-1])
        for name, contestant in cell["contestants"].items():
            if "failed" in contestant:
                lines.append(f"{where}: {name} failed: {contestant['failed']}")
                continue
            for kind in KINDS:
                if not contestant[kind]["comparable"]:
                    apart = contestant[kind]["difference"]
                    how = "not a number" if apart is None else f"{apart:.2g} off jaxstyle's"
                    lines.append(f"{where}: ! {KIND_LABELS[kind]}, the output of {name} is {how}")
    return lines


def _lines(cells: Sequence[dict]) -> Iterator[tuple[dict, str]]:
    return ((cell, kind) for cell in cells for kind in KINDS)


def _where(cell: dict, kind: str) -> tuple[str, ...]:
    size = f"{cell['width']}x{cell['height']}"
    return cell["model"], size, str(cell["batch"]), cell["dtype"], KIND_LABELS[kind]


def _failure(contestant: dict) -> str:
    return "no memory" if contestant["failed"].startswith("out of memory") else "failed"


def _median(contestant: dict, kind: str) -> str:
    if "failed" in contestant:
        return _failure(contestant)
    mark = "" if contestant[kind]["comparable"] else "!"
    return f"{mark}{contestant[kind]['median_ms']:.2f}"


def _medians(cells: Sequence[dict]) -> dict[tuple[str, ...], float]:
    return {
        (*_where(cell, kind), name): contestant[kind]["median_ms"]
        for cell, kind in _lines(cells)
        for name, contestant in cell["contestants"].items()
        if "failed" not in contestant
    }


def aligned(rows: Sequence[Sequence[str]], left: int) -> str:
    """Columns as wide as their widest entry, the first `left` of them flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        columns = [
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(columns).rstrip())
    return "\n".join(lines)
