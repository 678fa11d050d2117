"""Training checkpoints: all that is needed to go on as if nothing had happened. Uses Orbax."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxstyle.errors import UserError

# Settings that may change between runs of the same training: they alter what is written, or how
# fast it goes, but not which numbers come out.
FREE_SETTINGS = {
    "log_every",
    "sample_every",
    "checkpoint_every",
    "keep_checkpoints",
    "tensorboard",
    "evaluation_scenes",
    "licence",
    "name",
    "devices",
    "data.cache_dir",
}


class Checkpoints:
    """The checkpoints of one training run, WORKDIR/checkpoints/STEP, the newest few kept.

    Each is written by a thread while training goes on, beside its final name, so that an
    interrupted write leaves no checkpoint rather than a broken one.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int):
        self._manager = ocp.CheckpointManager(
            Path(workdir).absolute() / "checkpoints",
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
            item_names=("state", "data"),
        )

    def latest_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, data_state: Any) -> None:
        """Writes a checkpoint unless this step has one.

        state: a pytree of arrays. data_state: the loader's, as JSON can hold it.
        """
        if self._manager.latest_step() == step:
            return
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


def check_or_write_config(workdir: str | os.PathLike, config: dict[str, Any]) -> None:
    """Writes WORKDIR/config.json, or compares with the one that is there.

    Raises `UserError`, naming the first difference, if the run in the workdir was started with
    another config. `FREE_SETTINGS` may differ.
    """
    path = Path(workdir) / "config.json"
    text = json.dumps(config, indent=2)
    if path.exists():
        found, wanted = _flatten(json.loads(path.read_text())), _flatten(json.loads(text))
        for name in sorted((found.keys() | wanted.keys()) - FREE_SETTINGS):
            if found.get(name) != wanted.get(name):
                raise UserError(
                    f"{workdir} holds a run with config.{name}={found.get(name)}, "
                    f"not {wanted.get(name)}; give that value, or another --workdir"
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    beside.write_text(text)
    os.replace(beside, path)


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
