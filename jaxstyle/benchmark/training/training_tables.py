"""The results as text."""

from collections.abc import Sequence

from jaxstyle.benchmark.tables import aligned
from jaxstyle.benchmark.training.measure_steps import ratio_to_best_peer

_HEAD = (
    *("recipe", "size", "batch", "contestant", "ms a step", "min", "p95", "CPU ms"),
    *("frames/s", "steps", "first step s", "peak MiB"),
)


def steps_table(entries: Sequence[dict]) -> str:
    """A line for each recipe and contestant; milliseconds are the median step's."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for entry in entries:
        where = (entry["recipe"], str(entry["image_size"]), str(entry["batch"]))
        for name, contestant in entry["contestants"].items():
            if "failed" in contestant:
                rows.append((*where, name, "failed", *[""] * 7))
                continue
            mark = "" if contestant["comparable"] else "!"
            rows.append(
                (
                    *where,
                    name,
                    f"{mark}{contestant['median_ms']:.0f}",
                    *(f"{contestant[figure]:.0f}" for figure in ("min_ms", "p95_ms", "cpu_ms")),
                    f"{contestant['frames_per_second']:.2f}",
                    str(contestant["calls"]),
                    f"{contestant['compile_seconds']:.1f}",
                    f"{contestant['peak_memory_mib']:.0f}",
                )
            )
    return aligned(rows, left=4)


def notes(entries: Sequence[dict]) -> list[str]:
    """What the table has no room for, one line each: ratios, failures, what is not comparable."""
    lines = []
    for entry in entries:
        where = f"{entry['recipe']} {entry['image_size']} px batch {entry['batch']}"
        contestants = entry["contestants"]
        ratio = ratio_to_best_peer(contestants, "median_ms")
        if ratio:
            cpu = ratio_to_best_peer(contestants, "cpu_ms")
            lines.append(f"{where}: jaxstyle/best peer {ratio:.2f}, of CPU time {cpu:.2f}")
        for name, contestant in contestants.items():
            if "failed" in contestant:
                lines.append(f"{where}: {name} failed: {contestant['failed']}")
            elif not contestant["comparable"]:
                losses, wanted = contestant["losses"], contestants["jaxstyle"]["losses"]
                lines.append(f"{where}: ! {name}'s first losses are {losses}, not {wanted}")
    return lines
