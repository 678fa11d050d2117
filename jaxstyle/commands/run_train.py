"""Trains: what `jaxstyle.main` does."""

import signal
import sys
from collections.abc import Sequence

from absl import logging

from jaxstyle.inference.engine import keep_compiled_programs
from jaxstyle.training import distributed
from jaxstyle.training.config_flag import read_config
from jaxstyle.training.train_loop import train


def train_recipe(recipe: str, settings: Sequence[str], workdir: str) -> None:
    """Trains the recipe in `workdir`, or goes on there.

    recipe, settings: as `read_config` takes them. Raises `UserError` for what cannot work. Ctrl-C
    and SIGTERM end the program, with what was computed saved if it can be.
    """
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    # A polite kill must clean up as Ctrl-C does, also before the loop that saves on it.
    signal.signal(signal.SIGTERM, lambda *_: distributed.leave_at_signal(signal.SIGTERM))
    try:
        config = read_config(recipe, settings)
        distributed.initialize()
        with distributed.leaving_at_errors():
            train(config, workdir)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        distributed.leave_at_signal(signal.SIGINT)
