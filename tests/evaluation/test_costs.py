from pathlib import Path

import jax
import pytest

from jaxstyle.evaluation import costs
from jaxstyle.evaluation.contestants import Contestant
from jaxstyle.inference.bundle import save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

NANO = {"name": "realtime", "size": "nano"}


@pytest.fixture
def contestants(tmp_path):
    """The input, two styles of a bundle, and another bundle."""
    parameters = init_parameters(build_generator(NANO), jax.random.key(0), 64)
    for name in ("two", "other"):
        save_bundle(tmp_path / f"{name}.safetensors", parameters, {"generator": NANO})
    return [
        Contestant("input", "baseline", None),
        Contestant("two: dusk", "model", None, tmp_path / "two.safetensors"),
        Contestant("two: day", "model", None, tmp_path / "two.safetensors"),
        Contestant("other", "model", None, tmp_path / "other.safetensors"),
    ]


@pytest.mark.slow
def test_a_bundle_is_measured_once_at_a_size_that_it_takes(contestants, monkeypatch):
    measured = []

    def measure_cell(cell, peers, seconds, folder):
        measured.append(Path(cell.model.bundle).stem)
        own = {"end_to_end": {"frames_per_second": 50.0, "median_ms": 20.0}}
        if measured[-1] == "other":
            own = {"failed": "out of memory"}
        return {
            "width": cell.width,
            "height": cell.height,
            "parameters": 1234,
            "gflop": 3.5,
            "contestants": {"jaxstyle": own},
        }

    monkeypatch.setattr(costs, "measure_cell", measure_cell)
    found, failures = costs.measure_costs(contestants, (637, 361))
    assert measured == ["two", "other"]
    known = {"parameters": 1234, "gflop": {"640x364": 3.5}}
    assert found["two: dusk"] == {**known, "frames_per_second": 50.0, "latency_ms": 20.0}
    assert found["two: day"] == found["two: dusk"]
    assert found["other"] == {**known, "frames_per_second": None, "latency_ms": None}
    assert "input" not in found
    path = contestants[-1].bundle
    assert failures == [f"the speed of {path} could not be measured: out of memory"]
