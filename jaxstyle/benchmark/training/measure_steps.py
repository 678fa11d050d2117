"""The training step of one recipe, all contestants in turns."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ml_collections import FrozenConfigDict

from jaxstyle.benchmark.machine import cores
from jaxstyle.benchmark.timings import summary
from jaxstyle.benchmark.training.recipes import PARTS, scene_batch
from jaxstyle.benchmark.turns import Contestant, take_turns
from jaxstyle.benchmark.worker_processes import Worker, own_command

# PyTorch's threads spin while they wait for one another. Where another program has a core, that is
# for so long that steps take several times longer; asleep, they lose nothing in steps this long.
_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}
# By how much of itself a loss may differ from jaxstyle's at the first step, from the same
# parameters and frames: the random draws are each contestant's own.
_TOLERANCE = 0.25


def measure_step(
    recipe: str,
    config: FrozenConfigDict,
    peers: Mapping[str, Sequence[str]],
    seconds: float,
    folder: Path,
) -> dict:
    """Measures a recipe's step by jaxstyle and its peers; returns the entry of training.json.

    recipe: a key of `RECIPES`. config: as from `recipe_config`. peers: the command of each one's
    worker. seconds: of steps, for each contestant; at least three steps in any case. folder: for
    files that the workers exchange.

    In "contestants", each has "failed": the reason in one line, or "compile_seconds" (from the
    recipe to the first step's end), "peak_memory_mib", the figures of `timings.summary`, "cpu_ms"
    (what all cores together computed in the median step), the first step's "losses" (generator's,
    discriminator's) and whether these make it "comparable". Where jaxstyle fails, its peers have
    no parameters to start from and do not run.
    """
    frames = folder / "frames.npy"
    np.save(frames, scene_batch(config))
    order = {
        "recipe": recipe,
        "config": config.to_dict(),
        "parts": PARTS,
        "frames": str(frames),
        "npz": str(folder / "parameters.npz"),
        "threads": cores(),
    }
    commands = {"jaxstyle": own_command("training.jaxstyle_training_worker"), **peers}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(name, command, folder / f"{name}.log", _ENVIRONMENT))
            for name, command in commands.items()
        ]
        own, *others = [Contestant(worker, folder) for worker in workers]
        own.prepare(order)
        for other in others if own.failed is None else ():
            other.prepare(order | {"platform": own.facts["platform"]})
        contestants = [own, *others] if own.failed is None else [own]
        take_turns(contestants, "device", seconds)
    gflop = own.facts["flop"] / 1e9 / config.batch_size if own.facts else None
    return {
        "recipe": recipe,
        "image_size": config.image_size,
        "batch": config.batch_size,
        "parameters": own.facts.get("parameters"),
        "gflop": gflop,
        "device": own.facts.get("device"),
        "contestants": {c.name: _result(c, own, config.batch_size, gflop) for c in contestants},
    }


def _result(contestant: Contestant, own: Contestant, batch: int, gflop: float | None) -> dict:
    if contestant.failed is not None or gflop is None:
        return {"failed": contestant.failed}
    losses, wanted = contestant.first_output("device"), own.first_output("device")
    return {
        "version": contestant.facts["version"],
        "compile_seconds": contestant.facts["compile_seconds"],
        "peak_memory_mib": contestant.peak_bytes / 2**20,
        **summary(contestant.times["device"], batch, gflop),
        "cpu_ms": 1e3 * float(np.median(contestant.cpu_times["device"])),
        "losses": [float(x) if math.isfinite(x) else None for x in losses],
        "comparable": bool(np.all(np.abs(losses - wanted) <= _TOLERANCE * np.abs(wanted))),
    }


def ratio_to_best_peer(contestants: Mapping[str, dict], figure: str) -> float | None:
    """jaxstyle's "median_ms" or "cpu_ms" over its lowest of a comparable peer; below 1 is faster.

    contestants: as from `measure_step`. None where jaxstyle or all comparable peers lack it.
    """
    found = {n: c[figure] for n, c in contestants.items() if c.get("comparable")}
    own = found.pop("jaxstyle", None)
    return own / min(found.values()) if own and found else None
