"""The command: `python -m jaxstyle.benchmark.training --models=realtime --peers=torch`."""

import argparse
import datetime
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from tqdm import tqdm

from jaxstyle.arguments import listed, positive_int, seconds
from jaxstyle.benchmark.machine import describe_machine, versions
from jaxstyle.benchmark.record import write_document
from jaxstyle.benchmark.training.measure_steps import PEERS, measure_step
from jaxstyle.benchmark.training.recipes import RECIPES, recipe_config
from jaxstyle.benchmark.training.training_plot import plot_png
from jaxstyle.benchmark.training.training_tables import notes, steps_table
from jaxstyle.benchmark.worker_processes import peer_commands
from jaxstyle.errors import UserError, run_command
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.training.config_checks import check_config

FORMAT = "jaxstyle-training-benchmark-1"
_RESULTS, _PLOT = "training.json", "training.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = _parser().parse_args(argv)
    # What ends this process must end its workers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # The workers have the accelerator to themselves; here, nothing is computed.
    jax.config.update("jax_platforms", "cpu")
    where = f"in {args.out / _RESULTS}" if args.out else "above"
    return run_command(_benchmark, args, f"what was measured until then is {where}")


def _benchmark(args: argparse.Namespace) -> None:
    commands = peer_commands(args.peers, [*args.peer_python, sys.executable], PEERS)
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
    began = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[0], 2),
    }
    if began["load"] > 1:
        print(
            f"warning: the load of this machine is {began['load']} already; measure when nothing "
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
                write_document(args.out / _RESULTS, _document(done, began, args.seconds))
    finally:
        if done:
            print("\n".join([steps_table(done), *notes(done)]))
    if all("failed" in entry["contestants"]["jaxstyle"] for entry in done):
        raise UserError("nothing could be measured; the reasons are above")
    if args.out:
        machine = _document(done, began, args.seconds)["machine"]
        write_whole(args.out / _PLOT, plot_png(done, machine))


def _document(entries: Sequence[dict], began: dict, seconds: float) -> dict:
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
        "command": ["python", "-m", "jaxstyle.benchmark.training", *sys.argv[1:]],
        "seconds": seconds,
        "machine": describe_machine() | {"accelerator": (accelerators or [None])[0]},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": found,
        "recipes": list(entries),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxstyle.benchmark.training",
        description="Measures a recipe's training step against the same step in PyTorch: the same "
        "networks, losses, optimizer, parameters and frames, in turns.",
        epilog="How long training waits for its data: python -m jaxstyle.benchmark.training.input",
    )
    parser.add_argument(
        "--models",
        type=listed(str),
        default="realtime,animegan2",
        metavar="NAMES",
        help="generators whose recipes are measured (%(default)s)",
    )
    parser.add_argument(
        "--image_size", type=positive_int, default=128, help="side of the frames (%(default)s)"
    )
    parser.add_argument(
        "--batch_size", type=positive_int, default=4, help="frames a step (%(default)s)"
    )
    parser.add_argument(
        "--peers",
        type=listed(str),
        default="",
        metavar="P,...",
        help=f"what to compare with: {', '.join(PEERS)}",
    )
    parser.add_argument(
        "--peer_python",
        action="append",
        default=[],
        metavar="PATH",
        help="an interpreter that has PyTorch (this one)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=20.0,
        help="of steps for each contestant; three steps at least (20)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where {_RESULTS} and {_PLOT} go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
