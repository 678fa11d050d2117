"""Training checkpoints: all that is needed to go on as if nothing had happened. Uses Orbax."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxstyle.errors import UserError
from jaxstyle.whole_file import write_whole

# Settings that may change between runs of the same training: they alter what is written, or how
# fast it goes, but not which numbers come out.
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
    "devices",
    "data.cache_dir",
    "data.workers",
}


class Checkpoints:
    """The checkpoints of one training run, WORKDIR/checkpoints/STEP, the newest few kept.

    Each is written by a thread while training goes on, beside its final name, so that an
    interrupted write leaves no checkpoint rather than a broken one.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int):
        """Raises `UserError` if the folder cannot be made."""
        folder = Path(workdir).absolute() / "checkpoints"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {workdir}: {error}; give another --workdir"
            ) from error
        self._manager = ocp.CheckpointManager(
            folder,
            options=ocp.CheckpointManagerOptions(max_to_keep=keep),
            item_names=("state", "data"),
        )

    def latest_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, data_state: Any) -> None:
        """Writes the checkpoint of a step that has none yet.

        state: a pytree of arrays. data_state: the loader's, as JSON can hold it.
        """
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), data=ocp.args.JsonSave(data_state)
            ),
        )

    def restore(self, step: int, like: Any) -> tuple[Any, Any]:
        """Returns (state, data_state) of that step; `like` gives shapes, dtypes and sharding."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore()
            ),
        )
        return restored.state, restored.data

    def close(self) -> None:
        """Waits until everything is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()


def has_checkpoint(workdir: str | os.PathLike) -> bool:
    """Whether there is a complete checkpoint in the workdir; creates nothing."""
    # Orbax gives a checkpoint its bare number as a name only once it is complete.
    return any(path.name.isdigit() for path in (Path(workdir) / "checkpoints").glob("*"))


def check_config_unchanged(workdir: str | os.PathLike, config: dict[str, Any]) -> None:
    """Raises `UserError`, naming the first difference, if WORKDIR/config.json is of another run.

    `FREE_SETTINGS` may differ.
    """
    path = Path(workdir) / "config.json"
    try:
        found = _flatten(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; give another --workdir") from error
    wanted = _flatten(json.loads(json.dumps(config)))  # tuples become lists
    for name in sorted((found.keys() | wanted.keys()) - FREE_SETTINGS):
        if found.get(name) != wanted.get(name):
            raise UserError(
                f"{workdir} holds a run with config.{name}={found.get(name)}, "
                f"not {wanted.get(name)}; give that value, or another --workdir"
            )


def write_config(workdir: str | os.PathLike, config: dict[str, Any]) -> None:
    """Writes WORKDIR/config.json, atomically. Raises `UserError` if it cannot."""
    write_whole(Path(workdir) / "config.json", json.dumps(config, indent=2).encode())


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
