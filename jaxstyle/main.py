"""Trains: `python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime`.

Any setting of the config can be given on the command line: `--config.batch_size=16`. The same
command again goes on from the last checkpoint. Where several processes are to train one model, each
is started with this command, see `jaxstyle.distributed`.
"""

import signal
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from jaxstyle import distributed
from jaxstyle.errors import UserError, reported_in_one_line
from jaxstyle.realtime.engine import keep_compiled_programs
from jaxstyle.train import train

_CONFIG = config_flags.DEFINE_config_file("config", None, "A recipe, such as configs/anime.py.")
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
                train(_CONFIG.value, _WORKDIR.value)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        distributed.leave_at_signal(signal.SIGINT)


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; a mistake there or in the recipe it names is told in one line."""
    with reported_in_one_line():
        try:
            arguments = flags.FLAGS(argv)
            # A recipe that cannot be read says so only when its content is asked for.
            _CONFIG.value.keys()
        except (
            flags.Error,
            ImportError,
            LookupError,
            OSError,
            SyntaxError,
            TypeError,
            ValueError,
        ) as error:
            # ml_collections wraps the reason in a traceback, of which it is the last line.
            raise UserError(str(error).strip().splitlines()[-1].strip()) from error
        except AttributeError as error:
            # ... or appends the whole config.
            reason = str(error).partition(" Other fields present")[0].strip("\"'")
            raise UserError(f"unknown setting or attribute in the config: {reason}") from error
        if len(arguments) > 1:
            raise UserError(f"unexpected argument {arguments[1]!r}; settings are --flag=value")
    return arguments


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=parse_flags)
