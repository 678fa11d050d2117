import json
import time

import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.realtime.metrics import Durations, Metrics, write_report


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_percentiles_agree_with_those_of_all_values(percent):
    values = np.random.default_rng(0).lognormal(-4, 1, 5000)
    durations = Durations()
    for value in values:
        durations.add(value)
    assert durations.percentile(percent) == pytest.approx(np.percentile(values, percent), rel=0.02)
    report = durations.report()
    assert report["mean_ms"] == pytest.approx(values.mean() * 1000, rel=1e-3)
    assert report["max_ms"] == pytest.approx(values.max() * 1000, rel=1e-3)
    assert report["count"] == 5000


def test_durations_out_of_range_are_counted():
    durations = Durations()
    for value in (0.0, 1e9):
        durations.add(value)
    assert durations.percentile(1) < 1e-5
    assert durations.percentile(100) > 500


def test_the_report_has_what_was_counted(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    metrics = Metrics(started=98.0)
    for _ in range(11):
        metrics.count("in", 2)
        metrics.count("dropped at capture")
        metrics.time("stylize", 0.02)
        metrics.time("capture to window", 0.05)
        metrics.stylized()
        metrics.shown(now[0])
        now[0] += 0.1
    report = metrics.report()
    assert report["fps"] == pytest.approx(10)
    assert report["time_to_first_frame_s"] == 2.0
    assert report["frames"] == {"in": 22, "dropped at capture": 11, "stylized": 11}
    assert report["stages"]["stylize"]["p99_ms"] == pytest.approx(20, rel=0.01)
    assert report["peak_memory_mb"] > 10
    assert metrics.status()["fps"] == pytest.approx(10)
    assert metrics.status()["latency_p99_ms"] == pytest.approx(50, rel=0.01)
    assert "11 frames, 10.0 fps, first after 2.0 s" in metrics.summary()


def test_a_run_without_a_frame_has_a_report_in_plain_json(tmp_path):
    write_report(tmp_path / "report.json", Metrics(started=0.0).report())
    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert report["fps"] is None


def test_a_report_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_report(tmp_path / "missing" / "report.json", {})
