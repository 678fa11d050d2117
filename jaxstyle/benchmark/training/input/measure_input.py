"""How much of the time a recipe's training waits for its data."""

import contextlib
import dataclasses
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict, FrozenConfigDict
from tqdm import tqdm

from jaxstyle.benchmark.training.recipes import random_features
from jaxstyle.data.loader import BatchIterator
from jaxstyle.models.examples import takes_noise
from jaxstyle.training import sharding, steps
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.networks import build_networks
from jaxstyle.training.objectives.players import Networks
from jaxstyle.training.training_data import load_batches, open_training_data

# The loader keeps some batches ready; these are taken out before it is measured.
_BATCHES_AHEAD = 12
_MIN_STEPS = 5


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
    ready = _Readiness()
    asked: list[float] = []
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
