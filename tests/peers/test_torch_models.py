"""The networks in PyTorch are those of `jaxstyle.models`."""

import json
import subprocess

import jax
import numpy as np
import pytest

from jaxstyle.benchmark.measured_models import first_condition, prepare_models
from jaxstyle.benchmark.worker_processes import PEERS_FOLDER
from jaxstyle.inference.bundle import load_bundle, save_bundle

pytestmark = pytest.mark.slow

NAMES = ["tiny", "multistyle", "animegan2", "animegan3", "resnet", "microast", "aligned"]
FRAMES = np.random.default_rng(0).uniform(-1, 1, (2, 32, 48, 3)).astype(np.float32)

# Runs the networks of some files in one process, as importing PyTorch takes the longest.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from torch_models import build

x = torch.from_numpy(np.load(sys.argv[2])).permute(0, 3, 1, 2)
for generator, npz, out in json.loads(sys.argv[3]):
    with torch.inference_mode():
        y = build(generator, np.load(npz))(x)
    np.save(out, y.permute(0, 2, 3, 1).numpy())
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    models = {model.name: model for model in prepare_models(NAMES[:-1], [], folder)}
    bundle = load_bundle(models["animegan2"].bundle)
    path = folder / "aligned.safetensors"
    config = {"name": "animegan2", "align_corners": True}
    save_bundle(path, bundle.parameters, {"generator": config})
    (folder / "aligned").mkdir()
    (models["aligned"],) = prepare_models([], [str(path)], folder / "aligned")
    return models


@pytest.fixture(scope="module")
def painted(peer_python, networks, tmp_path_factory):
    """What PyTorch makes of `FRAMES`, by the network's name."""
    folder = tmp_path_factory.mktemp("painted")
    np.save(folder / "frames.npy", FRAMES)
    orders = [
        (model.generator, str(model.npz), str(folder / f"{name}.npy"))
        for name, model in networks.items()
    ]
    arguments = [str(PEERS_FOLDER), str(folder / "frames.npy"), json.dumps(orders)]
    subprocess.run([peer_python, "-c", PROGRAM, *arguments], check=True)
    return {name: np.load(folder / f"{name}.npy") for name in networks}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_in_pytorch_paints_what_jaxstyle_paints(painted, networks, name):
    bundle = load_bundle(networks[name].bundle)
    condition = first_condition(bundle)
    inputs = (FRAMES,) if condition is None else (FRAMES, condition)
    wanted = np.asarray(jax.jit(bundle.generator.apply)({"params": bundle.parameters}, *inputs))
    contrast = wanted.std((0, 1, 2)).min()
    assert np.abs(painted[name] - wanted).max() < 1e-3 * contrast
