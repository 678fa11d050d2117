"""Measures a recipe's training step: what `jaxstyle.benchmark.training` does."""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from tqdm import tqdm

from jaxstyle.benchmark.machine import describe_machine, versions
from jaxstyle.benchmark.record import write_document
from jaxstyle.benchmark.training.measure_steps import measure_step
from jaxstyle.benchmark.training.recipes import RECIPES, recipe_config
from jaxstyle.benchmark.training.training_plot import plot_png
from jaxstyle.benchmark.training.training_tables import notes, steps_table
from jaxstyle.benchmark.worker_processes import TRAINING_PEERS, peer_commands
from jaxstyle.choices import TRAINING_PLOT, TRAINING_RESULTS
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.training.config_checks import check_config

FORMAT = "jaxstyle-training-benchmark-1"


def benchmark_training(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.benchmark.training` is asked for."""
    # The workers have the accelerator to themselves; here, nothing is computed.
    jax.config.update("jax_platforms", "cpu")
    commands = peer_commands(args.peers, [*args.peer_python, sys.executable], TRAINING_PEERS)
    configs = {
        name: recipe_config(name, image_size=args.image_size, batch_size=args.batch_size)
        for name in args.models
    }
    for config in configs.values():
        check_config(config)
    if not configs:
        raise UserError(f"nothing to measure: name a model, {' or '.join(RECIPES)}")
    if args.out:
        make_folder(args.out)
    load = round(os.getloadavg()[0], 2)
    began = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load": load,
    }
    if load > 1:
        print(
            f"warning: the load of this machine is {load} already; measure when nothing "
            "else runs, or compare CPU time only",
            file=sys.stderr,
        )
    done: list[dict] = []
    try:
        for name, config in (progress := tqdm(configs.items(), unit="recipe")):
            progress.set_description(name)
            with tempfile.TemporaryDirectory(prefix="jaxstyle_training_") as folder:
                done.append(measure_step(name, config, commands, args.seconds, Path(folder)))
            if args.out:
                write_document(args.out / TRAINING_RESULTS, _document(done, began, args))
    finally:
        if done:
            print("\n".join([steps_table(done), *notes(done)]))
    if all("failed" in entry["contestants"]["jaxstyle"] for entry in done):
        raise UserError("nothing could be measured; the reasons are above")
    if args.out:
        machine = _document(done, began, args)["machine"]
        write_whole(args.out / TRAINING_PLOT, plot_png(done, machine))


def _document(entries: Sequence[dict], began: dict, args: argparse.Namespace) -> dict:
    """The content of training.json.

    entries: as from `measure_step`. began: the "date", ISO 8601, and the machine's "load", the mean
    number of threads that wanted a core, when the run began.
    """
    found = versions()
    for entry in entries:
        for name, contestant in entry["contestants"].items():
            if name != "jaxstyle" and "version" in contestant:
                found[name] = contestant["version"]
    accelerators = [entry["device"] for entry in entries if entry["device"] not in (None, "cpu")]
    return {
        "format": FORMAT,
        **began,
        "command": args.command,
        "seconds": args.seconds,
        "machine": describe_machine() | {"accelerator": (accelerators or [None])[0]},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": found,
        "recipes": list(entries),
    }
