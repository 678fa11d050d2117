"""The settings that a run was begun with: it goes on with no others."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole
from jaxstyle.training.checkpoint import CONFIG, saved_steps
from jaxstyle.training.default_config import default_config

# Settings that may change between runs of the same training: they alter what is written, or how
# fast it goes, but not which numbers come out, rounding aside. (With batch norm, accumulation does
# change them: then it is part of what fits the device at hand.)
FREE_SETTINGS = {
    "log_every",
    "sample_every",
    "checkpoint_every",
    "keep_checkpoints",
    "tensorboard",
    "evaluation.every",
    "evaluation.best",
    "judge",
    "licence",
    "name",
    "description",
    "credits",
    "devices",
    "parallelism",
    "accumulation",
    "data.cache_dir",
    "data.memory",
    "data.workers",
}


def check_config_unchanged(
    workdir: str | os.PathLike, config: dict[str, Any], say: Callable[[str], None] = print
) -> None:
    """Raises `UserError`, naming the first difference, if WORKDIR/config.json is of another run.

    `FREE_SETTINGS` may differ. A setting that there was not yet had what is now its default. Where
    the file is lost the newest copy in a checkpoint stands in, which `say` is told of.
    """
    saved = _read_config(Path(workdir), say)
    if saved is None:
        return
    found = _flatten(saved)
    # As JSON, in which tuples are lists.
    wanted, default = (
        _flatten(json.loads(json.dumps(settings)))
        for settings in (config, default_config().to_dict())
    )
    for name in sorted((found.keys() | wanted.keys()) - FREE_SETTINGS):
        was, is_now = (settings.get(name, default.get(name)) for settings in (found, wanted))
        if was != is_now:
            raise UserError(
                f"{workdir} holds a run with config.{name}={was}, not {is_now}; give that value, "
                "or another --workdir"
            )


def describe_run(config: dict[str, Any]) -> str:
    """The settings that a run cannot change midway, as one text."""
    flat = _flatten(config)
    return json.dumps({name: flat[name] for name in sorted(flat.keys() - FREE_SETTINGS)})


def write_config(workdir: str | os.PathLike, config: dict[str, Any]) -> None:
    """Writes WORKDIR/config.json, atomically. Raises `UserError` if it cannot."""
    write_whole(Path(workdir) / CONFIG, json.dumps(config, indent=2).encode())


def _read_config(workdir: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The settings that the run had; None, which `say` is told of, if no file has them any more."""
    failure = None
    steps = reversed(saved_steps(workdir))
    copies = [workdir / "checkpoints" / str(step) / CONFIG for step in steps]
    for path in (workdir / CONFIG, *copies):
        try:
            found = json.loads(path.read_bytes())
            if not isinstance(found, dict):
                raise ValueError("it holds no settings")
        except (OSError, ValueError) as error:
            failure = failure or getattr(error, "strerror", None) or str(error)
            continue
        if failure:
            say(f"cannot read {workdir / CONFIG} ({failure}): {path} stands in for it")
        return found
    say(
        f"cannot read {workdir / CONFIG} ({failure}), and no checkpoint has a copy: going on "
        "without comparing the settings with those that the run had"
    )
    return None


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
