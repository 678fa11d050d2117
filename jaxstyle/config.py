"""What a recipe is written with: the default config, its schedules, and lists of runs to sweep.

Recipes import this module and no other of jaxstyle, so that what lies behind it may move. Every
setting, its default and its meaning is in `jaxstyle.training.default_config`.
"""

from jaxstyle.training import sweeps
from jaxstyle.training.default_config import (
    CONSTANT,
    LINEAR_DECAY,
    SECOND_HALF_RAMP,
    default_config,
)

__all__ = [
    "CONSTANT",
    "LINEAR_DECAY",
    "SECOND_HALF_RAMP",
    "default_config",
    "sweeps",
]
