"""The training loop, to be read from top to bottom: devices, state, data, restore, loop, end."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict
from tqdm import tqdm

import jaxstyle
from jaxstyle import sharding, steps
from jaxstyle.bundle import save_bundle
from jaxstyle.checkpoint import (
    Checkpoints,
    check_config_unchanged,
    has_checkpoint,
    write_config,
)
from jaxstyle.config import check_config
from jaxstyle.data.augment import random_resized_crop
from jaxstyle.data.loader import make_loader
from jaxstyle.data.sources import Source, open_source
from jaxstyle.errors import UserError
from jaxstyle.evaluation.held_out import compare_with_truth, held_out_scenes
from jaxstyle.interrupt import StopRequest
from jaxstyle.metrics import MetricsWriter, RecentFigures
from jaxstyle.realtime.engine import stylize
from jaxstyle.samples import contact_sheet, write_png

_SAMPLE_ROWS = 4  # of a contact sheet
_EVALUATION_SIZE = 256  # pixels, of held-out scenes


def train(config: ConfigDict, workdir: str | os.PathLike) -> None:
    """Trains as `config` says and leaves everything in `workdir`.

    model.safetensors (to run), checkpoints/ (to go on from), samples/*.png, metrics.jsonl and
    config.json. If the workdir has a checkpoint, training goes on from it. Raises `UserError` for
    bad input and when a figure is not finite, and `Stopped` once all is saved after SIGINT or
    SIGTERM.
    """
    check_config(config)
    config = FrozenConfigDict(config)
    workdir = Path(workdir)
    if has_checkpoint(workdir):
        check_config_unchanged(workdir, config.to_dict())
    is_writer = jax.process_index() == 0
    say = tqdm.write if is_writer else lambda _: None

    # ---- Devices -----------------------------------------------------------------------------
    mesh = sharding.make_mesh(config.devices, config.batch_size)
    say(f"devices: {mesh.size} x {mesh.devices.flat[0].device_kind}")

    # ---- State -------------------------------------------------------------------------------
    networks = steps.build_networks(config)
    init = jax.jit(functools.partial(steps.init_state, networks, config))
    state = sharding.replicate(init(jax.random.key(config.seed)), mesh)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.generator))
    say(f"generator: {config.generator.name}, {parameters:,} parameters")

    # ---- Data --------------------------------------------------------------------------------
    content, style = (_open_source(config, domain) for domain in ("content", "style"))
    say(f"data: {len(content)} content frames, {len(style)} style frames")
    batches = make_loader(
        content,
        style,
        batch_size=config.batch_size // jax.process_count(),
        image_size=config.image_size,
        seed=config.seed,
        workers=config.data.workers,
        crop_scale=config.data.crop_scale,
        paired=config.data.paired,
        edge_smoothing=config.losses.adversarial.smooth_weight > 0,
        shard_index=jax.process_index(),
        shard_count=jax.process_count(),
    )

    # ---- Restore -----------------------------------------------------------------------------
    checkpoints = Checkpoints(workdir, config.keep_checkpoints)
    first_step = checkpoints.latest_step() or 0
    if first_step:
        state, data_state = checkpoints.restore(first_step, state)
        _check_same_length(data_state, len(content), len(style))
        batches.set_state(data_state["batches"])
        say(f"going on from step {first_step} in {workdir}")
    if is_writer:
        write_config(workdir, config.to_dict())

    # ---- Loop --------------------------------------------------------------------------------
    run_step = _compiled_steps(networks, config)
    generate = _generate(networks.generator)
    sample = _sample_images(content, style, config)
    recent = RecentFigures()
    previous = None
    stopping = False

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
            state, figures = run_step(done - 1)(state, batch)
            recent.add(done, figures)
            # One step computes while the next batch is made; more ahead would only hide progress.
            jax.block_until_ready(previous)
            previous = figures
            progress.update(1)
            # Asked once a step: a signal that comes later is for the next one.
            stopping = stop.requested

            if due(config.log_every):
                count, means = recent.take_means()
                means["frames_per_second"] = count * config.batch_size / (time.monotonic() - since)
                since = time.monotonic()
                progress.set_postfix_str(_postfix(means))
                writer.write(done, means)
            if is_writer and due(config.sample_every):
                sheet = _sample_sheet(generate, jax.device_get(state.ema), sample)
                write_png(workdir / "samples" / f"{done:07d}.png", sheet)
            if due(config.checkpoint_every) or stopping:
                # What is not finite must never become a checkpoint.
                recent.check_finite()
                data_state = {
                    "batches": batches.get_state(),
                    "content": len(content),
                    "style": len(style),
                }
                checkpoints.save(done, state, data_state)
                if is_writer:
                    _save_bundle(workdir, config, done, jax.device_get(state.ema), figures={})
            if stopping:
                break
    if stopping and done < config.steps:
        say(f"stopped at step {done}, which is saved; the same command goes on from there")
        raise stop.stopped()

    # ---- End ---------------------------------------------------------------------------------
    if is_writer:
        # Also when a run that was cut off here is started again with nothing left to train.
        averaged = jax.device_get(state.ema)
        figures = {}
        if config.evaluation_scenes:
            stylized = functools.partial(generate, averaged)
            figures = _evaluate_held_out(stylized, config.evaluation_scenes, workdir)
            say(_held_out_report(config.evaluation_scenes, figures))
        _save_bundle(workdir, config, config.steps, averaged, figures)
    say(f"done: {workdir / 'model.safetensors'}")


def _open_source(config: FrozenConfigDict, domain: str) -> Source:
    cache_dir = config.data.cache_dir or "~/.cache/jaxstyle"
    # Crops are taken out of frames half as large again, so that they can differ.
    size = round(1.5 * config.image_size)
    return open_source(config.data[domain], size=size, cache_dir=Path(cache_dir).expanduser())


def _check_same_length(data_state: dict[str, Any], content: int, style: int) -> None:
    """Raises `UserError` if files came or went: the stream of batches would be another one."""
    for domain, count in (("content", content), ("style", style)):
        if data_state[domain] != count:
            raise UserError(
                f"config.data.{domain} had {data_state[domain]} frames when this was saved, and "
                f"has {count} now; restore it, or give another --workdir"
            )


def _compiled_steps(
    networks: steps.Networks, config: FrozenConfigDict
) -> Callable[[int], Callable]:
    """Returns step number -> the jitted step that makes that step's updates."""

    @functools.cache
    def compiled(updates: steps.Updates):
        step = functools.partial(
            steps.train_step, networks=networks, config=config, updates=updates
        )
        return jax.jit(step, donate_argnums=0)

    return lambda step: compiled(steps.updates_at(step, config))


def _generate(generator: nn.Module) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Returns (parameters, uint8 [N, S, S, 3]) -> the stylized images, uint8 of the same shape.

    The parameters are the host's own copy, so that one process of several can call it alone.
    """
    jitted = jax.jit(functools.partial(stylize, generator))
    full_strength = jnp.ones(())
    return lambda parameters, images: np.asarray(jitted(parameters, images, full_strength))


def _sample_images(
    content: Source, style: Source, config: FrozenConfigDict
) -> tuple[np.ndarray, np.ndarray]:
    """The same few content and style images for every contact sheet, as large squares."""
    rng = np.random.default_rng(config.seed)
    side = max(config.image_size, 256)

    def squares(source):
        indices = np.linspace(0, len(source) - 1, _SAMPLE_ROWS).round().astype(int)
        images = (source[int(i)] for i in indices)
        return np.stack([random_resized_crop(image, side, (1.0, 1.0), rng) for image in images])

    return squares(content), squares(style)


def _sample_sheet(
    generate: Callable, parameters: Any, sample: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Rows of input | output | a frame of the style, uint8 [H, W, 3]."""
    content, style = sample
    return contact_sheet([content, generate(parameters, content), style])


def _save_bundle(
    workdir: Path, config: FrozenConfigDict, step: int, parameters: Any, figures: dict[str, float]
) -> None:
    metadata = {
        "name": config.name,
        "licence": config.licence,
        "generator": config.generator.to_dict(),
        "step": step,
        "config": config.to_dict(),
        "figures": figures,
        "jaxstyle": jaxstyle.__version__,
    }
    save_bundle(workdir / "model.safetensors", parameters, metadata)


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


def _evaluate_held_out(
    stylized: Callable[[np.ndarray], np.ndarray], count: int, workdir: Path
) -> dict[str, float]:
    """Figures on held-out scenes; samples/held_out.png has rows of input | output | truth."""
    photos, cels = held_out_scenes(count, _EVALUATION_SIZE)
    # A few at a time, as many as a contact sheet has.
    batches = range(0, count, _SAMPLE_ROWS)
    outputs = np.concatenate([stylized(photos[i : i + _SAMPLE_ROWS]) for i in batches])
    sheet = contact_sheet([frames[:_SAMPLE_ROWS] for frames in (photos, outputs, cels)])
    write_png(workdir / "samples" / "held_out.png", sheet)
    return compare_with_truth(photos, outputs, cels)


def _held_out_report(count: int, figures: dict[str, float]) -> str:
    gain = figures["ssim"] - figures["ssim_input"]
    ratio = figures["swd"] / figures["swd_input"]
    return (
        f"on {count} held-out scenes, against the true cel frames:\n"
        f"  SSIM                         {figures['ssim']:.3f}"
        f"  (unstylized {figures['ssim_input']:.3f}, {gain:+.3f})\n"
        f"  sliced Wasserstein distance  {figures['swd']:.3f}"
        f"  (unstylized {figures['swd_input']:.3f}, x {ratio:.2f})"
    )
