"""What a recipe's `sweep()` is written with: lists of overrides, a run of the sweep each.

    def sweep():
        return product(grid({"losses.warp.weight": [4.0, 8.0]}), seeds(2))

Overrides map settings to values, {"losses.warp.weight": 4.0, "seed": 1}, as the command line's
--config.losses.warp.weight=4 does. `python -m launch.sweep` starts the runs.
"""

import itertools
import math
import random as stdlib_random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Overrides = dict[str, Any]
# From a number that is uniformly distributed in [0, 1) to a value of a setting.
Distribution = Callable[[float], Any]

# Draws in a row that bring nothing new, after which `random` gives up.
_MOST_REPEATS = 1000


def grid(values: Mapping[str, Sequence[Any]]) -> list[Overrides]:
    """Every combination of the values given for each setting; the last setting varies fastest.

    Raises `ValueError` for a setting without values.
    """
    for name, choices in values.items():
        _check_values(name, choices)
    names = list(values)
    return [
        dict(zip(names, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def zipped(values: Mapping[str, Sequence[Any]]) -> list[Overrides]:
    """The first values of all settings together, then the second ones, and so on.

    Raises `ValueError` if they are not of one length, or empty.
    """
    for name, choices in values.items():
        _check_values(name, choices)
    lengths = {name: len(choices) for name, choices in values.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped settings need as many values each, not {lengths}")
    together = zip(*values.values(), strict=True)
    return [dict(zip(values, choices, strict=True)) for choices in together]


def product(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """Every combination of an element of each sweep; the last sweep varies fastest.

    Raises `ValueError` if two of the sweeps change the same setting.
    """
    names = [{name for overrides in sweep for name in overrides} for sweep in sweeps]
    for one, other in itertools.combinations(names, 2):
        if one & other:
            raise ValueError(f"two parts of the product change {', '.join(sorted(one & other))}")
    return [
        {name: value for overrides in combination for name, value in overrides.items()}
        for combination in itertools.product(*sweeps)
    ]


def seeds(count: int, first: int = 0) -> list[Overrides]:
    """The setting `seed` from `first` on: what of a difference between runs is chance."""
    return [{"seed": seed} for seed in range(first, first + count)]


def random(count: int, seed: int, distributions: Mapping[str, Distribution]) -> list[Overrides]:
    """`count` different random draws of the settings (Bergstra & Bengio 2012).

    distributions: `uniform`, `log_uniform`, `integers` or `choice` for each setting. Draws are the
    same for the same seed on any machine; with a larger count more are appended, and a further
    setting leaves those of the others as they are. Raises `ValueError` where the distributions have
    not as many different values.
    """
    # Text seeds a stream of each setting's own.
    streams = {name: stdlib_random.Random(f"{seed}/{name}") for name in distributions}
    drawn: list[Overrides] = []
    repeats = 0
    while len(drawn) < count:
        overrides = {
            name: distribution(streams[name].random())
            for name, distribution in distributions.items()
        }
        if overrides not in drawn:
            drawn.append(overrides)
            repeats = 0
            continue
        repeats += 1
        if repeats == _MOST_REPEATS:
            raise ValueError(f"found only {len(drawn)} different draws, not {count}")
    return drawn


def uniform(low: float, high: float) -> Distribution:
    """Uniform from low to high, to four significant digits, which keep names of runs short."""
    return lambda fraction: _rounded(low + (high - low) * fraction)


def log_uniform(low: float, high: float) -> Distribution:
    """Uniform in the logarithm, for weights and rates: as often in [1, 10] as in [10, 100].

    To four significant digits. Raises `ValueError` unless 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f"log_uniform needs 0 < low <= high, not {low} and {high}")
    return lambda fraction: _rounded(low * math.exp(math.log(high / low) * fraction))


def integers(low: int, high: int) -> Distribution:
    """Uniform whole numbers from low to high, both included."""
    return lambda fraction: low + int((high - low + 1) * fraction)


def choice(values: Sequence[Any]) -> Distribution:
    """One of the values, each as often. Raises `ValueError` if there is none."""
    _check_values("choice", values)
    return lambda fraction: values[int(len(values) * fraction)]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _check_values(name: str, values: Sequence[Any]) -> None:
    # Text is a sequence as well, of letters.
    if isinstance(values, str) or not len(values):
        raise ValueError(f"{name} needs a list of values, not {values!r}")
