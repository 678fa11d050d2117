"""The command: `python -m jaxstyle.benchmark.training.input --config=configs/anime.py`.

How much of the time a recipe's training waits for its data. Its settings are given as in training:
`--config.data.content=films`.
"""

import contextlib
import dataclasses
import functools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, FrozenConfigDict
from tqdm import tqdm

from jaxstyle.benchmark.machine import describe_machine
from jaxstyle.benchmark.training.recipes import random_features
from jaxstyle.data.loader import BatchIterator
from jaxstyle.errors import reported_in_one_line
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.inference.engine import keep_compiled_programs
from jaxstyle.models.examples import takes_noise
from jaxstyle.training import config_flag, sharding, steps
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.config_flag import parse_flags
from jaxstyle.training.networks import Networks, build_networks
from jaxstyle.training.training_data import load_batches, open_training_data

FORMAT = "jaxstyle-training-input-1"
_RESULTS = "input.json"
# The loader keeps some batches ready; these are taken out before it is measured.
_BATCHES_AHEAD = 12
_MIN_STEPS = 5

flags.adopt_module_key_flags(config_flag)
_SECONDS = flags.DEFINE_float("seconds", 20.0, "Of each of the three measurements.", lower_bound=0)
_OUT = flags.DEFINE_string("out", None, f"The folder for {_RESULTS}.")


@dataclasses.dataclass(frozen=True)
class InputMetrics:
    """How fast a recipe loads and trains, by itself and together.

    loader_frames_per_second: of the loader alone; a frame is one of the content with what comes
    with it, so a batch of 8 is 8. resident_steps_per_second: on one batch that is on the device
    already. fed_steps_per_second: as training does it, with a new batch each. waiting: the share of
    that time in which the device had finished a step and the next was not asked for yet.
    """

    loader_frames_per_second: float
    resident_steps_per_second: float
    fed_steps_per_second: float
    waiting: float


class _Readiness:
    """Notes on a thread when each step's results are there."""

    def __init__(self):
        self.at: list[float] = []
        self._results: queue.Queue = queue.Queue()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add(self, results: Any) -> None:
        """Of a step that was asked for."""
        self._results.put(results)

    def wait(self) -> list[float]:
        """When each was ready, `time.perf_counter` seconds, once all are."""
        self._results.put(None)
        self._thread.join()
        return self.at

    def _watch(self) -> None:
        while (results := self._results.get()) is not None:
            jax.block_until_ready(results)
            self.at.append(time.perf_counter())


def measure_input(config: ConfigDict, seconds: float) -> InputMetrics:
    """Measures a recipe on this process's devices, each figure for about `seconds`.

    The network that perceptual terms see through has random weights. Raises `UserError` for what
    training refuses.
    """
    check_config(config)
    config = FrozenConfigDict(config)
    mesh = sharding.make_mesh(config.devices, config.batch_size, config.accumulation)
    networks = build_networks(config)
    with contextlib.closing(_open_loader(config, networks)) as batches:
        loaded = _loader_speed(batches, seconds) * config.batch_size
        training = _Training(config, networks, mesh)
        batch = sharding.split_batch(next(batches), mesh)
        training.step(batch)  # compiles
        resident, _ = measure_training(training.step, lambda: batch, seconds, "a resident batch")
        # Only now, so that what was loaded while that ran is not counted for the loader.
        for _ in range(_BATCHES_AHEAD):
            next(batches)
        fed, waiting = measure_training(
            training.step, lambda: sharding.split_batch(next(batches), mesh), seconds, "the loader"
        )
    return InputMetrics(loaded, resident, fed, waiting)


class _Training:
    """The state of a training run and its step, compiled as training compiles it."""

    def __init__(self, config: FrozenConfigDict, networks: Networks, mesh: jax.sharding.Mesh):
        self._pretrained = sharding.replicate(random_features(networks), mesh)
        init = functools.partial(steps.init_state, networks, config)
        self._state = jax.jit(init, out_shardings=sharding.replicated(mesh))(
            jax.random.key(config.seed)
        )
        updates = steps.updates_at(config.initial_steps, config)
        step = functools.partial(
            steps.train_step, networks=networks, config=config, updates=updates
        )
        self._step = sharding.parallel_step(step, mesh, config.parallelism)

    def step(self, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Asks for one step and returns its figures, which may not be there yet."""
        self._state, metrics = self._step(self._state, batch, self._pretrained)
        return metrics


def _open_loader(config: FrozenConfigDict, networks: Networks) -> BatchIterator:
    sources = open_training_data(
        config, needs_content=not takes_noise(networks.generator), say=tqdm.write
    )
    return load_batches(config, sources)


def _loader_speed(batches: BatchIterator, seconds: float) -> float:
    """Batches a second."""
    for _ in range(_BATCHES_AHEAD):
        next(batches)
    count, start = 0, time.perf_counter()
    with _progress("the loader alone") as progress:
        while count < _MIN_STEPS or time.perf_counter() - start < seconds:
            next(batches)
            count += 1
            progress.update(1)
    return count / (time.perf_counter() - start)


def measure_training(
    step: Callable[[Any], Any], next_batch: Callable[[], Any], seconds: float, on: str
) -> tuple[float, float]:
    """Steps a second and the share of waiting; the order of things is that of `train`'s loop.

    step: asks for one on a batch and returns its results, which may not be there yet. on: where
    batches come from, for the progress bar.
    """
    ready, asked = _Readiness(), []
    previous = None
    start = time.perf_counter()
    with _progress(f"training on {on}") as progress:
        while len(asked) < _MIN_STEPS or time.perf_counter() - start < seconds:
            batch = next_batch()
            asked.append(time.perf_counter())
            metrics = step(batch)
            ready.add(metrics)
            jax.block_until_ready(previous)
            previous = metrics
            progress.update(1)
    done = ready.wait()
    free = [start, *done[:-1]]
    idle = sum(max(0.0, then - since) for since, then in zip(free, asked, strict=True))
    duration = done[-1] - start
    return len(asked) / duration, idle / duration


def _progress(what: str) -> tqdm:
    return tqdm(desc=what, unit="step" if "training" in what else "batch", leave=False)


def _report(metrics: InputMetrics, batch_size: int) -> str:
    resident, fed = metrics.resident_steps_per_second, metrics.fed_steps_per_second
    lines = (
        ("loader alone", metrics.loader_frames_per_second, "frames/s"),
        ("training on a resident batch", batch_size * resident, "frames/s"),
        ("training fed by the loader", batch_size * fed, "frames/s"),
        ("waiting for data", 100 * metrics.waiting, "% of that"),
    )
    return "\n".join(f"{what:<30}{value:8.2f} {unit}" for what, value, unit in lines)


def main(argv: list[str]) -> None:
    """Measures as the flags say."""
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    config = flags.FLAGS.config
    try:
        with reported_in_one_line():
            if _OUT.value:
                make_folder(Path(_OUT.value))
            metrics = measure_input(config, _SECONDS.value)
            print(_report(metrics, config.batch_size))
            if _OUT.value:
                content = {
                    "format": FORMAT,
                    "command": ["python", "-m", "jaxstyle.benchmark.training.input", *argv[1:]],
                    "machine": describe_machine(),
                    "device": jax.devices()[0].device_kind,
                    "config": config.to_dict(),
                    **dataclasses.asdict(metrics),
                }
                write_whole(Path(_OUT.value) / _RESULTS, json.dumps(content, indent=1).encode())
    except KeyboardInterrupt:
        print("interrupted: nothing was measured yet", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse_flags)
