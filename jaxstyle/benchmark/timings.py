"""From the times of calls to the figures that are published."""

import math
from collections.abc import Sequence

import numpy as np

# How far outputs, in [-1, 1], may lie apart and still be those of the same network.
TOLERANCE = {"float32": 0.01, "bfloat16": 0.1}


def summary(seconds: Sequence[float], batch: int, gflop: float) -> dict[str, float]:
    """The figures of calls that took `seconds`, each for `batch` frames of `gflop` each.

    "frames_per_second" and "gflop_per_second" are those of the median call.
    """
    median = float(np.median(seconds))
    return {
        "calls": len(seconds),
        "median_ms": 1e3 * median,
        "min_ms": 1e3 * float(np.min(seconds)),
        "p95_ms": 1e3 * float(np.percentile(seconds, 95)),
        "frames_per_second": batch / median,
        "gflop_per_second": gflop * batch / median,
    }


def difference(output: np.ndarray, reference: np.ndarray) -> float | None:
    """The largest absolute difference, in [-1, 1] units, of float32 or of uint8 frames.

    None if it is not a number, or the shapes differ.
    """
    if output.shape != reference.shape:
        return None
    scale = 127.5 if reference.dtype == np.uint8 else 1.0
    largest = float(np.abs(output.astype(np.float32) - reference.astype(np.float32)).max()) / scale
    return largest if math.isfinite(largest) else None


def ratio_to_best_peer(contestants: dict[str, dict], kind: str) -> float | None:
    """jaxstyle's median time over that of its fastest peer; below 1 jaxstyle is the faster.

    contestants: as in a cell of benchmark.json. None where jaxstyle or all comparable peers lack
    the figure.
    """
    medians = {
        name: contestant[kind]["median_ms"]
        for name, contestant in contestants.items()
        if kind in contestant and contestant[kind]["comparable"]
    }
    own = medians.pop("jaxstyle", None)
    return own / min(medians.values()) if own and medians else None
