"""Trains: `python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime`.

Any setting of the config can be given on the command line: `--config.batch_size=16`. The same
command again goes on from the last checkpoint. Where several processes are to train one model, each
is started with this command, see `jaxstyle.training.distributed`.
"""

import signal
import sys

from absl import app, flags, logging

from jaxstyle.errors import reported_in_one_line
from jaxstyle.inference.engine import keep_compiled_programs
from jaxstyle.training import config_flag, distributed
from jaxstyle.training.config_flag import CONFIG, parse_flags
from jaxstyle.training.train_loop import train

flags.adopt_module_key_flags(config_flag)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, samples and the model go.")


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    # A polite kill must clean up as Ctrl-C does, also before the loop that saves on it.
    signal.signal(signal.SIGTERM, lambda *_: distributed.leave_at_signal(signal.SIGTERM))
    try:
        with reported_in_one_line():
            distributed.initialize()
            with distributed.leaving_at_errors():
                train(CONFIG.value, _WORKDIR.value)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        distributed.leave_at_signal(signal.SIGINT)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=parse_flags)
