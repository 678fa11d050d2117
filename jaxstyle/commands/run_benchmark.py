"""Measures how fast generators run: what `jaxstyle.benchmark` does."""

import argparse
import datetime
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from tqdm import tqdm

from jaxstyle.benchmark.cells import Cell, measure_cell
from jaxstyle.benchmark.measured_models import Model, prepare_models, write_onnx
from jaxstyle.benchmark.record import (
    document,
    machine_changes,
    read_document,
    write_document,
)
from jaxstyle.benchmark.tables import comparison_table, metrics_table, notes, peers_table
from jaxstyle.benchmark.worker_processes import ONNX_PEERS, peer_commands
from jaxstyle.choices import BENCHMARK_PLOT, BENCHMARK_RESULTS
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, write_whole


def benchmark(args: argparse.Namespace) -> None:
    """Does what `jaxstyle.benchmark` is asked for."""
    # The workers have the accelerator to themselves; here, nothing is computed.
    jax.config.update("jax_platforms", "cpu")
    commands = peer_commands(args.peers, [*args.peer_python, sys.executable])
    earlier = read_document(args.compare) if args.compare else None
    if args.out:
        make_folder(args.out)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    done: list[dict] = []
    try:
        with tempfile.TemporaryDirectory(prefix="jaxstyle_benchmark_") as folder:
            models = prepare_models(_names(args), args.model, Path(folder))
            cells = _cells(args, models)
            if not ONNX_PEERS.isdisjoint(commands):
                _check_export(models, Path(folder))
            for cell in (progress := tqdm(cells, unit="cell")):
                progress.set_description(str(cell))
                done.append(measure_cell(cell, commands, args.seconds, Path(folder)))
                if args.out:
                    content = document(done, date=date, seconds=args.seconds)
                    write_document(args.out / BENCHMARK_RESULTS, content)
    finally:
        if done:
            _print_tables(done, args.peers)
    if all("failed" in cell["contestants"]["jaxstyle"] for cell in done):
        raise UserError("nothing could be measured; the reasons are above")
    now = document(done, date=date, seconds=args.seconds)
    if args.out and not args.no_plot:
        from jaxstyle.benchmark.plot import plot_png

        write_whole(args.out / BENCHMARK_PLOT, plot_png(done, now["machine"]))
    if earlier:
        _print_comparison(now, earlier, args.compare)


def _names(args: argparse.Namespace) -> list[str]:
    if args.models is not None:
        return args.models
    return [] if args.model else ["tiny", "small", "base"]


def _cells(args: argparse.Namespace, models: Sequence[Model]) -> list[Cell]:
    cells = []
    for model, (width, height), batch, dtype in itertools.product(
        models, args.sizes, args.batches, args.dtypes
    ):
        if width % model.stride or height % model.stride:
            raise UserError(
                f"{model.name} takes sizes in multiples of {model.stride}, not {width}x{height}"
            )
        cells.append(Cell(model, width, height, batch, dtype))
    if not cells:
        raise UserError("nothing to measure: name a model, a size, a batch and a dtype at least")
    return cells


def _check_export(models: Sequence[Model], folder: Path) -> None:
    """A model that cannot be exported is better told now than after an hour."""
    for model in models:
        write_onnx(model, (1, 16 * model.stride, 16 * model.stride, 3), folder)


def _print_tables(cells: Sequence[dict], peers: Sequence[str]) -> None:
    print(f"jaxstyle:\n{metrics_table(cells)}")
    if peers:
        print(f"\nmedian milliseconds a call, all in turns:\n{peers_table(cells, peers)}")
    for note in notes(cells):
        print(note)


def _print_comparison(now: dict, earlier: dict, path: Path) -> None:
    try:
        changes = machine_changes(earlier, now)
        table = comparison_table(now["cells"], earlier["cells"])
        date = earlier["date"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {error!r}") from error
    for change in changes:
        print(f"warning: another machine than in {path}: {change}", file=sys.stderr)
    print(f"\nagainst {path} of {date}:\n{table or 'it has none of these figures'}")
