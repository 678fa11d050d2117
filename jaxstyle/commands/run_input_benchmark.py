"""Measures how long training waits for data: what `jaxstyle.benchmark.training.input` does."""

import argparse
import dataclasses
import json
from pathlib import Path

import jax
from absl import logging

from jaxstyle.benchmark.machine import describe_machine
from jaxstyle.benchmark.training.input.measure_input import InputMetrics, measure_input
from jaxstyle.choices import INPUT_RESULTS
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.inference.engine import keep_compiled_programs
from jaxstyle.training.config_flag import read_config

FORMAT = "jaxstyle-training-input-1"


def benchmark_input(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.benchmark.training.input` is asked for."""
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    config = read_config(args.config, args.settings)
    if args.out:
        make_folder(args.out)
    metrics = measure_input(config, args.seconds)
    print(as_table(metrics, config.batch_size))
    if args.out:
        _write(args.out / INPUT_RESULTS, args, config.to_dict(), metrics)


def as_table(metrics: InputMetrics, batch_size: int) -> str:
    """The figures for people, a line each. batch_size: of a step."""
    resident, fed = metrics.resident_steps_per_second, metrics.fed_steps_per_second
    lines = (
        ("loader alone", metrics.loader_frames_per_second, "frames/s"),
        ("training on a resident batch", batch_size * resident, "frames/s"),
        ("training fed by the loader", batch_size * fed, "frames/s"),
        ("waiting for data", 100 * metrics.waiting, "% of that"),
    )
    return "\n".join(f"{what:<30}{value:8.2f} {unit}" for what, value, unit in lines)


def _write(path: Path, args: argparse.Namespace, config: dict, metrics: InputMetrics) -> None:
    content = {
        "format": FORMAT,
        "command": args.command,
        "machine": describe_machine(),
        "device": jax.devices()[0].device_kind,
        "config": config,
        **dataclasses.asdict(metrics),
    }
    write_whole(path, json.dumps(content, indent=1).encode())
