import json
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from jaxstyle.errors import UserError
from jaxstyle.training.metrics_log import MetricsWriter, RecentMetrics


def lines(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_means_are_over_the_steps_that_have_the_figure():
    recent = RecentMetrics()
    recent.add(1, {"g/total": jnp.float32(1), "d/r1": jnp.float32(7)})
    recent.add(2, {"g/total": jnp.float32(2)})
    recent.add(3, {"g/total": jnp.float32(6)})
    assert recent.take_means() == (3, {"g/total": 3.0, "d/r1": 7.0})


def test_means_begin_anew_once_taken():
    recent = RecentMetrics()
    recent.add(1, {"g/total": jnp.float32(1)})
    recent.take_means()
    recent.add(2, {"g/total": jnp.float32(5)})
    recent.check_finite()  # asks, and keeps them
    assert recent.take_means() == (1, {"g/total": 5.0})


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_named_with_its_step(bad):
    recent = RecentMetrics()
    recent.add(11, {"g/total": jnp.float32(1), "g/warp": jnp.float32(1)})
    recent.add(12, {"g/total": jnp.float32(1), "g/warp": jnp.float32(bad)})
    recent.add(13, {"g/total": jnp.float32(bad), "g/warp": jnp.float32(bad)})
    with pytest.raises(UserError, match=f"step 12: g/warp is {bad}"):
        recent.check_finite()
    with pytest.raises(UserError, match="step 12: g/warp"):
        recent.take_means()


def test_a_step_is_a_line_of_json(tmp_path):
    with MetricsWriter(tmp_path, first_step=0) as writer:
        writer.write(50, {"g/total": 0.5})
        # Somebody who watches the file sees the line at once.
        assert lines(tmp_path) == [{"step": 50, "g/total": 0.5}]
        writer.write(100, {"g/total": 0.25, "d/r1": 2.0})
    assert lines(tmp_path)[1] == {"step": 100, "g/total": 0.25, "d/r1": 2.0}


def test_going_on_drops_the_steps_that_will_come_again(tmp_path):
    with MetricsWriter(tmp_path, first_step=0) as writer:
        for step in (10, 20, 30):
            writer.write(step, {"g/total": float(step)})
    with MetricsWriter(tmp_path, first_step=20) as writer:
        writer.write(30, {"g/total": -1.0})
    assert lines(tmp_path) == [
        {"step": 10, "g/total": 10.0},
        {"step": 20, "g/total": 20.0},
        {"step": 30, "g/total": -1.0},
    ]


def test_going_on_drops_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "g/total": 1.0}\n{"step": 20, "g/tot')
    with MetricsWriter(tmp_path, first_step=20) as writer:
        writer.write(30, {"g/total": 3.0})
    assert [line["step"] for line in lines(tmp_path)] == [10, 30]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_a_clear_error(tmp_path):
    writer = MetricsWriter(tmp_path, first_step=0)
    writer._file.close()
    writer._file = open("/dev/full", "a", buffering=1)  # noqa: SIM115
    with pytest.raises(UserError, match=r"cannot write /dev/full: No space left"), writer:
        writer.write(10, {"g/total": 1.0})


def test_hosts_but_the_first_write_nothing(tmp_path):
    with MetricsWriter(tmp_path, first_step=0, tensorboard=True, active=False) as writer:
        writer.write(1, {"g/total": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_that_is_not_installed_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n')
    with pytest.raises(UserError, match=r"pip install 'jaxstyle\[tensorboard\]'"):
        MetricsWriter(tmp_path, first_step=0, tensorboard=True)
    assert path.read_text() == '{"step": 10}\n'
