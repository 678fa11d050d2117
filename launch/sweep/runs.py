"""From a recipe's `sweep()` to runs: each with its overrides, its folder and its command line."""

import dataclasses
import functools
import hashlib
import importlib.util
import json
import numbers
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict, config_flags

from jaxstyle.errors import UserError
from jaxstyle.training.config_checks import check_config
from jaxstyle.training.default_config import default_config
from jaxstyle.training.networks import build_networks
from jaxstyle.training.steps import init_state
from jaxstyle.training.sweeps import Overrides

# What any file system takes as it is; those of macOS and Windows do not tell cases apart.
_SAFE_NAME = re.compile(r"[a-z0-9_.=,+-]+")
_LONGEST_NAME = 100
_HASH_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a sweep.

    name: of its folder in that of the sweep. overrides: what this run changes, as its config has
    it then. config: all of it. command: what trains it, the same for every launcher.
    """

    name: str
    overrides: Overrides
    config: ConfigDict
    workdir: Path
    command: tuple[str, ...]


def plan_runs(config_file: str, common: Overrides, folder: Path) -> list[Run]:
    """Returns the runs of the recipe's `sweep()`, all of them checked as `jaxstyle.main` would.

    config_file: as --config has it, "configs/anime.py" or "configs/anime.py:base". common: further
    overrides, which every run gets. folder: of the sweep. Raises `UserError` for a recipe without
    a sweep, an empty one, settings or values that the config does not take, networks that do not
    fit together, and equal runs.
    """
    runs: dict[str, Run] = {}
    for overrides in _read_sweep(config_file):
        run = _plan_run(config_file, common, overrides, folder)
        if run.name in runs:
            raise UserError(f"sweep() in {config_file} has two runs with {_told(overrides)}")
        runs[run.name] = run
    return list(runs.values())


def run_name(overrides: Overrides) -> str:
    """Returns the name of the folder of a run: "losses.warp.weight=4,seed=1".

    overrides: with the values as the config has them, so that 4 and 4.0 are the same. A name that
    is long, or not safe as a file name, is cut and ends in ~ and a hash: no two sets of overrides
    have the same name.
    """
    if not overrides:
        return "default"
    parts = {name: _name_text(value) for name, value in sorted(overrides.items())}
    name = ",".join(f"{key}={text}" for key, text in parts.items())
    is_plain = not any(mark in text for text in parts.values() for mark in "=,")
    has_case = any(isinstance(v, str) and v != v.lower() for v in overrides.values())
    safe = _SAFE_NAME.fullmatch(name)
    if safe and is_plain and not has_case and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(json.dumps(overrides, sort_keys=True).encode()).hexdigest()
    short = re.sub(r"[^a-z0-9_.=,+-]+", "_", name)[: _LONGEST_NAME - _HASH_DIGITS - 1]
    return f"{short}~{digest[:_HASH_DIGITS]}"


def _name_text(value: Any) -> str:
    # 4.0 as 4: a setting is a whole number in all runs or in none.
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return text if isinstance(value, str) else text.lower()


def _read_sweep(config_file: str) -> list[Overrides]:
    path = Path(config_file.partition(":")[0])
    spec = importlib.util.spec_from_file_location("recipe_with_a_sweep", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file (.py)")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    if not hasattr(recipe, "sweep"):
        raise UserError(
            f"{path} has no sweep(): give it one that returns a list of overrides, such as "
            "jaxstyle.training.sweeps.seeds(3)"
        )
    try:
        found = list(recipe.sweep())
    # It is the user's program, which may fail in any way.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"sweep() in {path} fails: {type(error).__name__}: {reason}") from error
    if not found:
        raise UserError(f"sweep() in {path} is empty: it has no run")
    for overrides in found:
        named = isinstance(overrides, Mapping) and all(isinstance(key, str) for key in overrides)
        if not named:
            raise UserError(
                f"sweep() in {path} should give dicts such as {{'seed': 1}}, not {overrides!r}"
            )
    return found


def _plan_run(config_file: str, common: Overrides, overrides: Overrides, folder: Path) -> Run:
    for name in overrides:
        if name in common:
            raise UserError(f"config.{name} is what sweep() changes; leave it off the command line")
    settings = [
        f"--config.{name}={_flag_text(name, value)}" for name, value in (common | overrides).items()
    ]
    config = _parse_config([f"--config={config_file}", *settings], overrides)
    try:
        check_config(config)
        _check_networks(config)
    except UserError as error:
        raise UserError(f"with {_told(overrides)}: {error}") from error
    values = {name: setting_of(config, name) for name in overrides}
    workdir = folder / run_name(values)
    command = (
        *(sys.executable, "-m", "jaxstyle.main"),
        *(f"--config={config_file}", f"--workdir={workdir}", *settings),
    )
    return Run(workdir.name, values, config, workdir, command)


def _parse_config(arguments: list[str], overrides: Overrides) -> ConfigDict:
    """The config as `jaxstyle.main` gets it from that command line."""
    argv = ["jaxstyle.main", *arguments]
    parsed = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=parsed, sys_argv=argv)
    try:
        parsed(argv)
    # As for the command line in jaxstyle.main; the reason may come with all of the config.
    except (flags.Error, LookupError, TypeError, ValueError, AttributeError) as error:
        # Of an AttributeError, ml_collections makes the text by quoting that of a KeyError.
        quoted = error.__context__
        text = str(quoted.args[0] if isinstance(quoted, KeyError) else error)
        reason = text.partition(" Other fields present")[0].strip().splitlines()[-1]
        raise UserError(f"sweep() gives {_told(overrides)}, which fails: {reason}") from error
    return parsed.config


def _check_networks(config: ConfigDict) -> None:
    """Raises `UserError` where networks, losses and data do not fit together."""
    build_networks(FrozenConfigDict(config))
    # What most sweeps are about changes no shapes, which take up to a second to find out.
    alike = config.copy_and_resolve_references()
    alike.seed = 0
    alike.optimizer = default_config().optimizer
    for loss in alike.losses.values():
        loss.weight = 1.0 if loss.weight > 0 else 0.0
    _check_shapes(FrozenConfigDict(alike))


@functools.cache
def _check_shapes(config: FrozenConfigDict) -> None:
    networks = build_networks(config)
    jax.eval_shape(lambda: init_state(networks, config, jax.random.key(0)))


def _flag_text(name: str, value: Any) -> str:
    """The value as --config.NAME=... takes it."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if isinstance(value, tuple | list):
        return repr(tuple(value))
    raise UserError(
        f"sweep() gives config.{name} a {type(value).__name__}; it should be a number, a text, "
        "True, False or a tuple of them"
    )


def setting_of(config: ConfigDict, name: str) -> Any:
    """Returns the value of the setting "losses.warp.weight" or the like."""
    for part in name.split("."):
        config = config[part]
    return config


def _told(overrides: Overrides) -> str:
    return ", ".join(f"config.{name}={value}" for name, value in overrides.items()) or "no override"
