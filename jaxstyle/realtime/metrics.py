"""How fast it runs, where the time goes, and how old a picture is when it is seen."""

import collections
import json
import os
import platform
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from jaxstyle.files.atomic_file import write_whole

if sys.platform != "win32":
    import resource

# Durations are counted in bins that grow by 2 % from a microsecond to 1,000 seconds: percentiles
# are exact to a hundredth, and memory stays the same after a day.
_SHORTEST = 1e-6
_GROWTH = 1.02
_BINS = 1048


class Durations:
    """The distribution of a stage's durations, in seconds, in constant memory."""

    def __init__(self):
        self.count = 0
        self._sum = 0.0
        self._longest = 0.0
        self._bins = np.zeros(_BINS, np.int64)

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.count += 1
        self._sum += seconds
        self._longest = max(self._longest, seconds)
        index = int(np.log(max(seconds, _SHORTEST) / _SHORTEST) / np.log(_GROWTH))
        self._bins[min(index, _BINS - 1)] += 1

    def percentile(self, percent: float) -> float:
        """Seconds that `percent` of 100 were no longer than, to 1 %; NaN if there were none."""
        if not self.count:
            return float("nan")
        index = int(np.searchsorted(np.cumsum(self._bins), percent / 100 * self.count))
        return min(_SHORTEST * _GROWTH ** (index + 0.5), self._longest)

    def report(self) -> dict[str, float | int]:
        """Milliseconds: p50, p95, p99, mean, max; and the count."""
        return {
            **{f"p{p}_ms": round(self.percentile(p) * 1000, 3) for p in (50, 95, 99)},
            "mean_ms": round(self._sum / self.count * 1000, 3),
            "max_ms": round(self._longest * 1000, 3),
            "count": self.count,
        }


class Metrics:
    """What a run measures, from all of its threads.

    Stages are "capture" (read and decode), "wait" (for the device to be free), "stylize" (to the
    device, computed, and back), and for each sink "present SINK" and "capture to SINK": how old
    a picture is once it is there. Counts are frames "in", "stylized", and per sink "out SINK"
    and, for live sources, "dropped ..." where a newer one took its place.
    """

    def __init__(self, started: float):
        """started: when the program started, by `time.monotonic`."""
        self.stages: dict[str, Durations] = collections.defaultdict(Durations)
        self.counts: collections.Counter[str] = collections.Counter()
        self.notes: list[str] = []
        self._started = started
        self._first_ready = self._last_ready = 0.0
        self._first_shown: float | None = None
        self._recent: collections.deque[float] = collections.deque(maxlen=60)
        self._lock = threading.Lock()

    def time(self, stage: str, seconds: float) -> None:
        """Counts one duration of a stage."""
        with self._lock:
            self.stages[stage].add(seconds)

    def count(self, what: str, by: int = 1) -> None:
        """Counts frames, if there are any."""
        if by:
            with self._lock:
                self.counts[what] += by

    def stylized(self) -> None:
        """Counts a frame that is ready, and the time of it."""
        now = time.monotonic()
        with self._lock:
            self.counts["stylized"] += 1
            self._first_ready = self._first_ready or now
            self._last_ready = now
            self._recent.append(now)

    def shown(self, at: float) -> None:
        """Takes the time at which a picture has arrived at a sink."""
        with self._lock:
            self._first_shown = self._first_shown or at

    @property
    def fps(self) -> float:
        """Frames per second lately; 0 before the second frame."""
        with self._lock:
            if len(self._recent) < 2:
                return 0.0
            return (len(self._recent) - 1) / max(self._recent[-1] - self._recent[0], 1e-9)

    def note(self, text: str) -> None:
        """Keeps what happened along the way for the report."""
        with self._lock:
            self.notes.append(text)

    def status(self) -> dict[str, float | int]:
        """The few figures one watches while it runs."""
        fps = self.fps
        with self._lock:
            ages = [stage for name, stage in self.stages.items() if name.startswith("capture to ")]
            dropped = sum(n for what, n in self.counts.items() if what.startswith("dropped "))
            status = {"fps": round(fps, 1), "frames": self.counts["stylized"], "dropped": dropped}
            if self.stages["stylize"].count:
                status["model_ms"] = round(self.stages["stylize"].percentile(50) * 1000, 1)
            if ages:
                age = max(ages, key=lambda stage: stage.percentile(99))
                status["latency_p50_ms"] = round(age.percentile(50) * 1000, 1)
                status["latency_p99_ms"] = round(age.percentile(99) * 1000, 1)
            return status

    def report(self) -> dict:
        """All of it, for a JSON file, with the machine and the versions."""
        with self._lock:
            span = self._last_ready - self._first_ready
            frames = self.counts["stylized"]
            return {
                "fps": round((frames - 1) / span, 3) if frames > 1 and span else None,
                "frames": dict(self.counts),
                "stages": {name: s.report() for name, s in self.stages.items() if s.count},
                "time_to_first_frame_s": (
                    round(self._first_shown - self._started, 3) if self._first_shown else None
                ),
                "peak_memory_mb": _peak_memory(),
                "peak_device_memory_mb": _peak_device_memory(),
                "notes": self.notes,
                "machine": {
                    "device": jax.devices()[0].device_kind,
                    "processor": platform.processor() or platform.machine(),
                    "cores": os.cpu_count(),
                    "system": platform.platform(),
                },
                "versions": {name: version(name) for name in ("jaxstyle", "jax", "jaxlib")},
            }

    def summary(self) -> str:
        """The report in two or three lines for a person."""
        report = self.report()
        fps = f"{report['fps']:.1f} fps" if report["fps"] else "one picture"
        lines = [
            f"{report['frames'].get('stylized', 0)} frames, {fps}, first after "
            f"{report['time_to_first_frame_s']} s, peak memory {report['peak_memory_mb']} MB"
        ]
        for name, stage in report["stages"].items():
            if name == "stylize" or name.startswith("capture to "):
                percentiles = "  ".join(f"p{p} {stage[f'p{p}_ms']:.1f}" for p in (50, 95, 99))
                lines.append(f"  {name}: {percentiles} ms")
        dropped = {w: n for w, n in report["frames"].items() if w.startswith("dropped ")}
        if dropped:
            lines.append("  " + ", ".join(f"{what}: {n}" for what, n in dropped.items()))
        return "\n".join(lines)


def write_report(path: Path, report: dict) -> None:
    """Writes the report as JSON, whole or not at all. Raises `UserError` if it cannot."""
    write_whole(path, (json.dumps(report, indent=2) + "\n").encode())


def _peak_memory() -> float | None:
    """The most megabytes of memory that this process has occupied; None where nobody knows."""
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, other systems in kilobytes.
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def _peak_device_memory() -> float | None:
    """In megabytes; None on a CPU, where it is the process's own."""
    statistics = jax.devices()[0].memory_stats()
    return round(statistics["peak_bytes_in_use"] / 1e6, 1) if statistics else None
