"""The training steps in PyTorch are those of `jaxstyle.training.steps`."""

import functools
import json
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.benchmark.training.recipes import (
    PARTS,
    RECIPES,
    arrays_of,
    random_features,
    recipe_config,
    scene_batch,
)
from jaxstyle.benchmark.worker_processes import PEERS_FOLDER
from jaxstyle.training import steps
from jaxstyle.training.networks import build_networks

pytestmark = pytest.mark.slow

STEPS = 2
# The smallest that the recipes' terms allow: shift takes 16 pixels off, and compares within 8 more.
SIZES = {"realtime": 48, "animegan2": 32}
BATCH = 2
# How far apart tensors may come to be, see `PROGRAM`. Of animegan2's million activations before a
# leaky ReLU about one is within rounding of zero, and on which side decides a percent of the
# gradients before it; all others agree to 1e-5 in the first step.
TOLERANCE = {"realtime": 5e-3, "animegan2": 5e-2}

OFFSET = 5
JITTER = 0.5

# Takes the steps from the same parameters with the same draws, and says what figures it has and by
# how much each tensor differs: moments, and what is iterated rather than learned, at most, relative
# to their largest value; parameters in the mean, relative to the learning rate, which is how far
# Adam goes in a step.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from torch_models import load_flax
from torch_recipes import RECIPES

order = json.loads(sys.argv[2])
draws = {name: torch.from_numpy(x) for name, x in np.load(order["draws"]).items()}


class Handed:
    def flips(self, count):
        return torch.ones(count, dtype=torch.bool)

    def jitter(self, count):
        return torch.full((3, count), order["jitter"])

    def positions(self, places, count):
        return torch.arange(places)

    def offset(self, largest):
        return order["offset"], order["offset"]

    def flow_grid(self, count):
        return draws["flow_grid"].permute(2, 0, 1).expand(count, -1, -1, -1)

    def noise_like(self, x):
        return draws["noise"].permute(2, 0, 1).expand_as(x)

    def directions(self):
        return draws["directions"]


def below(arrays, name):
    return {k.removeprefix(name + "/"): v for k, v in arrays.items() if k.startswith(name + "/")}


recipe = RECIPES[order["recipe"]](
    order["config"], np.load(order["start"]), torch.device("cpu"), False
)
recipe.draws = Handed()
frames = np.load(order["frames"])
batch = {
    name: torch.from_numpy(x).permute(0, 3, 1, 2)
    for name, x in zip(order["parts"], frames, strict=True)
}
figures = [{k: float(v) for k, v in recipe.step(batch).items()} for _ in range(order["steps"])]

apart = {}
for kind in ("parameters", "mu", "nu", "ema"):
    for name, network in recipe.networks.items():
        if kind == "ema" and name != "generator":
            continue
        adam = recipe.discriminator_adam if name == "discriminator" else recipe.generator_adam
        found = {k: v.detach().clone() for k, v in network.state_dict().items()}
        for i, (path, p) in enumerate(network.named_parameters()):
            moments = adam.state[p]
            found[path] = {
                "parameters": p.detach().clone(),
                "mu": moments["exp_avg"],
                "nu": moments["exp_avg_sq"],
                "ema": recipe.ema[i] if name == "generator" else None,
            }[kind].clone()
        # The same network, given what jaxstyle came to: a layout is undone once, in `load_flax`.
        load_flax(network, below(np.load(order[kind]), name))
        for path, wanted in network.state_dict().items():
            difference = (found[path] - wanted).abs()
            if kind in ("mu", "nu") or path not in dict(network.named_parameters()):
                difference = difference.max() / wanted.abs().max()
            else:
                difference = difference.mean() / adam.param_groups[0]["lr"]
            apart[f"{kind} {name}/{path}"] = float(difference)
        with torch.no_grad():
            for path, value in network.state_dict().items():
                value.copy_(found[path])
print(json.dumps({"figures": figures, "apart": apart}))
"""


def fixed_draws(size):
    rng = np.random.default_rng(0)
    shapes = {"flow_grid": (4, 4, 2), "noise": (size, size, 3), "directions": (3, 32)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


@pytest.fixture
def hand_over(monkeypatch):
    """Makes jaxstyle's step draw what PyTorch's is handed, whatever its keys are.

    A flip is always on; a shape tells what normal numbers are for.
    """

    def patch(draws):
        normal = {values.shape: values for values in draws.values()}

        def uniform(key, shape=(), dtype=jnp.float32, minval=0.0, maxval=1.0):
            assert (minval, maxval) == (-1.0, 1.0)
            return jnp.full(shape, JITTER, dtype)

        patches = {
            "normal": lambda key, shape: jnp.asarray(normal[shape]),
            "uniform": uniform,
            "bernoulli": lambda key, p=0.5, shape=(): jnp.ones(shape, bool),
            "randint": lambda key, shape, low, high: jnp.full(shape, OFFSET),
        }
        for name, function in patches.items():
            monkeypatch.setattr(jax.random, name, function)

    return patch


def train(config, networks, state, pretrained, frames):
    """The state after the steps, and the figures of each."""
    step = jax.jit(
        functools.partial(
            steps.train_step, networks=networks, config=config, updates=steps.updates_at(0, config)
        )
    )
    batch = dict(zip(PARTS, map(jnp.asarray, frames), strict=True))
    metrics = []
    for _ in range(STEPS):
        state, found = step(state, batch, pretrained)
        metrics.append({name: float(value) for name, value in found.items()})
    return state, metrics


def with_moments(state, moment):
    """The state with an optimizer's moments in the place of the parameters."""
    generator, helpers = getattr(state.generator_optimizer, moment)
    discriminators = getattr(state.discriminator_optimizer, moment)
    return state.replace(generator=generator, helpers=helpers, discriminators=discriminators)


def nowhere_zero(tree, key):
    """Adds noise: an untrained network has zeros, which hide what differs."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noisy = [x + 0.02 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noisy)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step_in_pytorch_comes_to_what_jaxstyle_comes_to(
    recipe, peer_python, hand_over, tmp_path
):
    size = SIZES[recipe]
    config = recipe_config(recipe, image_size=size, batch_size=BATCH)
    networks = build_networks(config)
    start = jax.jit(functools.partial(steps.init_state, networks, config))(jax.random.key(0))
    start = start.replace(generator=nowhere_zero(start.generator, jax.random.key(1)))
    start = start.replace(ema=start.generator)
    pretrained = random_features(networks)
    frames = scene_batch(config)
    draws = fixed_draws(size)
    hand_over(draws)
    state, metrics = train(config, networks, start, pretrained, frames)

    trees = {
        "start": arrays_of(start, pretrained),
        "parameters": arrays_of(state, {}),
        "ema": arrays_of(state.replace(generator=state.ema), {}),
        **{moment: arrays_of(with_moments(state, moment), {}) for moment in ("mu", "nu")},
        "draws": draws,
    }
    order = {
        "recipe": recipe,
        "config": config.to_dict(),
        "steps": STEPS,
        "parts": PARTS,
        "frames": str(tmp_path / "frames.npy"),
        "offset": OFFSET,
        "jitter": JITTER,
    }
    np.save(order["frames"], frames)
    for name, arrays in trees.items():
        order[name] = str(tmp_path / f"{name}.npz")
        np.savez(order[name], **arrays)
    command = [peer_python, "-c", PROGRAM, str(PEERS_FOLDER), json.dumps(order)]
    reply = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    for found, wanted in zip(reply["figures"], metrics, strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    for what, difference in reply["apart"].items():
        assert difference < TOLERANCE[recipe], what
