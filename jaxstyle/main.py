"""Trains: `python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime`.

Any setting of the config can be given on the command line: `--config.batch_size=16`. The same
command again goes on from the last checkpoint.
"""

from absl import app, flags, logging
from ml_collections import config_flags

from jaxstyle.errors import reported_in_one_line
from jaxstyle.realtime.engine import keep_compiled_programs
from jaxstyle.train import train

_CONFIG = config_flags.DEFINE_config_file("config", None, "A recipe, such as configs/anime.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, samples and the model go.")


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}; every setting is a --flag=value")
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    with reported_in_one_line():
        train(_CONFIG.value, _WORKDIR.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main)
