"""The training loop, to be read from top to bottom: devices, state, data, restore, loop, end."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict, FrozenConfigDict
from tqdm import tqdm

import jaxstyle
from jaxstyle import features
from jaxstyle.data.scenes import Scenes
from jaxstyle.errors import UserError
from jaxstyle.evaluation.validation import is_better, open_validation
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.interrupt import Stopped, StopRequest
from jaxstyle.media.contact_sheet import write_png
from jaxstyle.models.branches import fold
from jaxstyle.models.examples import takes_features, takes_noise
from jaxstyle.models.growth import standing_statistics
from jaxstyle.training import distributed, sharding, steps
from jaxstyle.training.checkpoint import Checkpoints, has_checkpoint
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.metrics_log import MetricsWriter, RecentMetrics
from jaxstyle.training.networks import build_networks
from jaxstyle.training.objectives.generator import terms_in_use
from jaxstyle.training.objectives.players import Networks
from jaxstyle.training.previews import Previews
from jaxstyle.training.progressive_growing import is_whole, so_far, stage_at
from jaxstyle.training.saved_config import check_config_unchanged, describe_run, write_config
from jaxstyle.training.start import load_start
from jaxstyle.training.training_data import load_batches, open_training_data, style_names

_MODEL, _BEST = "model.safetensors", "best.safetensors"
_SCALING_SCENES = 4  # that feature maps are normalized by


def train(config: ConfigDict, workdir: str | os.PathLike) -> None:
    """Trains as `config` says and leaves everything in `workdir`.

    model.safetensors (to run) and, with `config.evaluation`, best.safetensors; checkpoints/ (to go
    on from), samples/*.png, metrics.jsonl and config.json. If the workdir has a checkpoint,
    training goes on from it. Raises `UserError` for bad input and when a figure is not finite, and
    `Stopped` once all is saved after SIGINT or SIGTERM.
    """
    check_config(config)
    config = FrozenConfigDict(config)
    workdir = Path(workdir)
    is_writer = jax.process_index() == 0
    say = tqdm.write if is_writer else lambda _: None
    if has_checkpoint(workdir):
        check_config_unchanged(workdir, config.to_dict(), say)

    # ---- Devices -----------------------------------------------------------------------------
    mesh = sharding.make_mesh(config.devices, config.batch_size, config.accumulation)
    processes = jax.process_count()
    of_processes = f" of {processes} processes" if processes > 1 else ""
    distributed.meet(mesh)
    say(f"devices: {mesh.size} x {mesh.devices.flat[0].device_kind}{of_processes}")

    # ---- State -------------------------------------------------------------------------------
    networks = build_networks(config)
    start = load_start(networks, config) if config.start else None
    pretrained = sharding.replicate(_load_pretrained(networks, config, start), mesh)
    init = functools.partial(steps.init_state, networks, config)
    key = jax.random.key(config.seed)
    state = jax.jit(init, out_shardings=sharding.replicated(mesh))(key, start)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.generator))
    started = f", started from {config.start}" if config.start else ""
    say(f"generator: {config.generator.name}, {parameters:,} parameters{started}")

    # ---- Data --------------------------------------------------------------------------------
    needs_content = not takes_noise(networks.generator)
    sources = open_training_data(config, needs_content=needs_content, say=say)
    counts = sources.frame_counts()
    say(f"data: {counts['content']} content frames, {counts['style']} style frames")
    # Such as copies of the data on each machine, one of them cut off.
    distributed.check_same(describe_run(config.to_dict()) + str(counts), "config and data")
    validation, metrics = None, {}
    if is_writer and config.evaluation.every and sources.content is not None:
        validation = open_validation(config, sources.content, sources.style)
        say(f"evaluation: on {validation.content.name}, every {config.evaluation.every} steps")
    batches = load_batches(
        config, sources, process_index=jax.process_index(), process_count=processes
    )

    # ---- Restore -----------------------------------------------------------------------------
    checkpoints = Checkpoints(workdir, config.keep_checkpoints, config.to_dict())
    first_step = 0
    if restored := checkpoints.restore(state, say):
        first_step, state, data_state = restored
        _check_same_length(data_state, counts)
        batches.set_state(data_state["batches"])
        say(f"going on from step {first_step} in {workdir}")
    if is_writer:
        write_config(workdir, config.to_dict())
        if not first_step:
            # What another run, without a checkpoint, may have left here.
            (workdir / _BEST).unlink(missing_ok=True)

    # ---- Loop --------------------------------------------------------------------------------
    run_step = _compiled_steps(networks, config, mesh)
    stop_vote = distributed.StopVote(mesh)
    previews = Previews(
        networks.generator,
        sources.content,
        sources.style,
        image_size=config.image_size,
        seed=config.seed,
    )
    recent = RecentMetrics()
    previous = None
    stop_signal = 0

    def due(every: int) -> bool:
        return done % every == 0 or done == config.steps

    with (
        contextlib.closing(batches),
        contextlib.closing(checkpoints),
        MetricsWriter(workdir, first_step, config.tensorboard, is_writer) as writer,
        StopRequest() as stop,
        _progress_bar(first_step, config.steps, is_writer) as progress,
    ):
        since = time.monotonic()
        for done in range(first_step + 1, config.steps + 1):
            batch = sharding.split_batch(next(batches), mesh)
            state, terms = run_step(done - 1)(state, batch, pretrained)
            recent.add(done, terms)
            # One step computes while the next batch is made; more ahead would only hide progress.
            jax.block_until_ready(previous)
            previous = terms
            progress.update(1)
            # Asked once a step: a signal that comes later is for the next one.
            stop_signal = stop_vote(stop.signum)

            told: dict[str, float] = {}
            if due(config.log_every):
                count, told = recent.take_means()
                told["frames_per_second"] = count * config.batch_size / (time.monotonic() - since)
                since = time.monotonic()
                progress.set_postfix_str(_postfix(told))
            if validation and due(config.evaluation.every):
                # A flat picture, of a generator that diverged, would be the steadiest of all.
                recent.check_finite()
                metrics = validation.metrics(previews.stylizers(jax.device_get(state.ema)))
                told |= {f"evaluation/{name}": value for name, value in metrics.items()}
                if is_better(metrics, _best(workdir).get("figures"), config.evaluation.best):
                    _save_bundle(workdir / _BEST, networks, config, state, done, metrics)
            if told:
                writer.write(done, told)
            if is_writer and due(config.sample_every):
                sheet = previews.sheet(jax.device_get(state.ema), stage_at(done - 1, config))
                write_png(workdir / "samples" / f"{done:07d}.png", sheet)
            checkpoints.check()
            if due(config.checkpoint_every) or stop_signal:
                # What is not finite must never become a checkpoint.
                recent.check_finite()
                checkpoints.save(done, state, {"batches": batches.get_state(), **counts})
                if is_writer:
                    _save_bundle(workdir / _MODEL, networks, config, state, done, metrics={})
            if stop_signal:
                break
    if stop_signal and done < config.steps:
        say(f"stopped at step {done}, which is saved; the same command goes on from there")
        raise Stopped(stop_signal)

    # ---- End ---------------------------------------------------------------------------------
    if is_writer:
        # Also when a run that was cut off here is started again with nothing left to train.
        if validation:
            stylizers = previews.stylizers(jax.device_get(state.ema))
            metrics = metrics or validation.metrics(stylizers)
            write_png(workdir / "samples" / "evaluation.png", validation.sheet(stylizers))
            say(validation.told(metrics))
            if best := _best(workdir):
                say(f"best {config.evaluation.best}: step {best['step']}, {workdir / _BEST}")
        _save_bundle(workdir / _MODEL, networks, config, state, config.steps, metrics)
    say(f"done: {workdir / _MODEL}")


def _load_pretrained(
    networks: Networks, config: FrozenConfigDict, start: Any | None
) -> dict[str, Any]:
    """See `Players.pretrained`. start: the parameters of `config.start`, None without one."""
    pretrained: dict[str, Any] = {}
    if any("start" in term.needs for term in terms_in_use(config)):
        pretrained["start"] = start
    if networks.features is None:
        return pretrained
    cache_dir = Path(config.data.cache_dir or "~/.cache/jaxstyle").expanduser()
    chosen = config.features
    _, parameters = features.load(
        chosen.network, chosen.weights, chosen.sha256, cache_dir=cache_dir
    )
    pretrained["features"] = parameters
    if config.features.normalized:
        scenes = Scenes("photo", count=_SCALING_SCENES, size=(256, 256))
        frames = np.stack([scenes[i] for i in range(_SCALING_SCENES)])
        pretrained["scales"] = features.mean_activations(networks.features, parameters, frames)
    if config.losses.lpips.weight > 0:
        pretrained["lpips_heads"] = features.load_lpips_heads(config.losses.lpips.heads)
    return pretrained


def _check_same_length(data_state: dict[str, Any], counts: dict[str, int]) -> None:
    """Raises `UserError` if files came or went: the stream of batches would be another one."""
    for domain, count in counts.items():
        if data_state[domain] != count:
            raise UserError(
                f"config.data.{domain} had {data_state[domain]} frames when this was saved, and "
                f"has {count} now; restore it, or give another --workdir"
            )


def _compiled_steps(
    networks: Networks, config: FrozenConfigDict, mesh: Mesh
) -> Callable[[int], Callable]:
    """Returns step number -> the compiled step that makes that step's updates."""

    @functools.cache
    def compiled(updates: steps.Updates) -> Callable:
        step = functools.partial(
            steps.train_step, networks=networks, config=config, updates=updates
        )
        return sharding.parallel_step(step, mesh, config.parallelism)

    return lambda step: compiled(steps.updates_at(step, config))


def _save_bundle(
    path: Path,
    networks: Networks,
    config: FrozenConfigDict,
    state: steps.TrainState,
    step: int,
    metrics: dict[str, float],
) -> None:
    ema = jax.device_get(state.ema)
    generator, parameters, fields = so_far(networks.generator, ema, step, config)
    generator, parameters = fold(generator, parameters)
    metadata = {
        "name": config.name,
        "description": config.description,
        "licence": config.licence,
        "credits": list(config.credits),
        "generator": config.generator.to_dict() | fields,
        "step": step,
        "config": config.to_dict(),
        "figures": metrics,
        "jaxstyle": jaxstyle.__version__,
    }
    if metadata["generator"].get("branches"):
        metadata["generator"]["branches"] = False  # they are folded
    if config.data.styles:
        metadata["styles"] = style_names(config.data)
    judge = None
    module = networks.discriminators.get("main")
    # It judges in `stylize` without a pretrained network, and pictures as they are.
    alone = module is not None and not takes_features(module)
    if config.judge and config.losses.adversarial.weight > 0 and is_whole(step, config) and alone:
        metadata["discriminator"] = config.discriminator.to_dict()
        metadata["discriminator_conditional"] = config.losses.adversarial.conditional
        judge = {
            "params": jax.device_get(state.discriminators["main"]),
            "batch_stats": jax.device_get(state.discriminator_stats["main"]),
        }
    save_bundle(
        path,
        parameters,
        metadata,
        statistics=standing_statistics(generator, parameters),
        discriminator=judge,
    )


def _best(workdir: Path) -> dict[str, Any]:
    """The metadata of the best bundle so far, also of a run that was cut off; empty without one."""
    path = workdir / _BEST
    return load_bundle(path).metadata if path.exists() else {}


def _progress_bar(first_step: int, steps_in_all: int, visible: bool) -> tqdm:
    # In a log file every refresh is a line.
    seconds = 1.0 if sys.stderr.isatty() else 30.0
    return tqdm(
        initial=first_step,
        total=steps_in_all,
        unit="step",
        disable=not visible,
        mininterval=seconds,
        maxinterval=seconds,
        dynamic_ncols=True,
    )


def _postfix(means: dict[str, float]) -> str:
    parts = [f"{means['frames_per_second']:.0f} frames/s"]
    parts += [f"{name} {means[name]:.3f}" for name in ("g/total", "d/total") if name in means]
    return ", ".join(parts)
