"""Trains all runs of a recipe's `sweep()`: `python -m launch.sweep --config=configs/anime.py ...`.

    python -m launch.sweep --config=configs/anime.py --workdir=runs/sweep --dry_run
    python -m launch.sweep --config=configs/anime.py --workdir=runs/sweep --jobs=2
    python -m launch.sweep --config=configs/anime.py --workdir=runs/sweep --launcher=slurm --gpus=1
    python -m launch.sweep --config=configs/anime.py --workdir=runs/sweep --status --sort=warp_short

--config.NAME=VALUE holds for all runs. The same command again trains what is missing and goes on
with what is half done. --status tells how far each is, and which setting is best, also in
results.csv and results.png.
"""

from jaxstyle.errors import reported_in_one_line
from jaxstyle.extras import require

if __name__ == "__main__":
    with reported_in_one_line():
        require("train")

    from absl import app, flags

    from jaxstyle.training.config_flag import parse_flags
    from launch.sweep import sweep_command

    flags.adopt_module_key_flags(sweep_command)
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(sweep_command.main, flags_parser=parse_flags)
