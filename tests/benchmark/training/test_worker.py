"""The worker that takes jaxstyle's own steps."""

import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.benchmark.training import jaxstyle_training_worker as worker
from jaxstyle.benchmark.training.recipes import recipe_config, scene_batch

pytestmark = pytest.mark.slow


def test_calls_are_steps_from_the_parameters_that_peers_are_given(monkeypatch, tmp_path):
    def small_config(*args, **sizes):
        config = ConfigDict(recipe_config(*args, **sizes).to_dict())
        config.generator.size, config.losses.patch_nce.layers = "nano", (1,)
        config.discriminator.width, config.discriminator.layers = 4, 1
        return FrozenConfigDict(config)

    monkeypatch.setattr(worker, "recipe_config", small_config)
    frames = scene_batch(small_config("realtime", image_size=48, batch_size=2))
    npz = tmp_path / "parameters.npz"
    contestant = worker.prepare({"recipe": "realtime", "npz": str(npz)}, frames)
    first, second = (contestant.to_numpy(contestant.device()) for _ in range(2))
    assert np.all(np.isfinite(first))
    assert np.all(first != second)
    assert contestant.facts["flop"] > 1e6
    assert contestant.peak_bytes() > 1e7

    with np.load(npz) as arrays:
        # As `torch_recipes` finds them.
        networks = {path.partition("/")[0] for path in arrays}
        assert networks == {"generator", "heads", "discriminator"}
        assert arrays["discriminator/conv0/u"].shape == (1, 4)
        judged = [p for p in arrays if p.startswith(("generator", "discriminator"))]
        trained = [arrays[path].size for path in judged if not path.endswith("/u")]
        assert sum(trained) == contestant.facts["parameters"]
