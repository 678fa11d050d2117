"""Training checkpoints: all that is needed to go on as if nothing had happened.

Orbax writes the arrays. Around it stands what lets a run survive anything that ends it: a
checkpoint appears under its name only when it is whole and on disk, with a checksum of every file,
and one that is damaged later is set aside for the one before.
"""

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental.multihost_utils import broadcast_one_to_all

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder
from jaxstyle.files.atomic_folder import DamagedError, check_room, check_whole, publish, remove

# Of the settings, in the workdir and, a copy, in each checkpoint.
CONFIG = "config.json"
_NOTHING, _FOUND, _FAILED = range(3)


class Restored(NamedTuple):
    """What a run goes on from: its number of steps, its state, and the loader's."""

    step: int
    state: Any
    data_state: Any


class Checkpoints:
    """The checkpoints of one training run, WORKDIR/checkpoints/STEP, the newest few kept.

    Each is written by a thread while training goes on, beside its final name, so that an
    interrupted write leaves no checkpoint rather than a broken one, and older ones go only once it
    is on disk. Of several processes that train together the first alone touches the disk; all must
    make the same calls.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int, config: dict[str, Any] | None = None):
        """config: what each checkpoint gets a copy of; see `saved_config`.

        Raises `UserError` if the folder cannot be made.
        """
        self._folder = Path(workdir).absolute() / "checkpoints"
        self._keep = keep
        self._config = config
        self._is_writer = jax.process_index() == 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int, Future] | None = None
        # Orbax would have all processes take part, and wait for each other.
        alone = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="first_process"
        )
        self._orbax = ocp.Checkpointer(
            ocp.CompositeCheckpointHandler(
                "state",
                "data",
                composite_options=ocp.CompositeOptions(multiprocessing_options=alone),
            ),
            multiprocessing_options=alone,
        )
        if not self._is_writer:
            return
        try:
            make_folder(self._folder)
        except UserError as error:
            raise UserError(f"{error}; give another --workdir") from error
        self._remove_leftovers()

    def save(self, step: int, state: Any, data_state: Any) -> None:
        """Starts to write the checkpoint of a step, once the one before is written.

        state: a pytree of arrays, typed PRNG keys among them; they may be donated afterwards. Those
        that other processes have a part in must be replicated. data_state: the loader's, as JSON
        can hold it. Raises `UserError` if the checkpoint before could not be written.
        """
        self._finish()
        if not self._is_writer:
            return
        # The copy is on the device, which is quickest; from there the thread fetches it.
        arrays = _copied(jax.tree.map(_local, state))
        self._pending = step, self._writer.submit(self._write, step, arrays, data_state)

    def check(self) -> None:
        """Raises `UserError` if a checkpoint could not be written; never waits for it."""
        if self._pending and self._pending[1].done():
            self._finish()

    def restore(self, like: Any, say: Callable[[str], None] = print) -> Restored | None:
        """Returns the newest checkpoint that can be read whole; None if there is none at all.

        like: a pytree of `jax.Array`s; gives shapes, dtypes and sharding. Newer checkpoints that
        are damaged are renamed to STEP.damaged, which `say` is told of. Raises `UserError` if all
        are damaged, or if they hold other arrays than `like`; it does so in every process.
        """
        self._finish()
        found = failure = None
        if self._is_writer:
            try:
                found = self._newest_whole(like, say)
            except UserError as error:
                failure = error
        outcome = _FAILED if failure else _FOUND if found else _NOTHING
        outcome = int(broadcast_one_to_all(np.int32(outcome)))
        if failure:
            self.close()
            raise failure
        if outcome == _FAILED:
            raise UserError("the first process found no checkpoint to go on from; it says why")
        if outcome == _NOTHING:
            return None
        if found is None or jax.process_count() > 1:
            found = _from_first_process(found, like)
        return found._replace(state=jax.tree.map(_placed, found.state, like))

    def close(self) -> None:
        """Waits until everything is on disk. Raises `UserError` if it could not be written."""
        try:
            self._finish()
        finally:
            self._writer.shutdown()
            self._orbax.close()

    # ---- Writing ---------------------------------------------------------------------------------

    def _write(self, step: int, arrays: Any, data_state: Any) -> None:
        arrays = jax.device_get(arrays)
        partial = self._folder / f"{step}.partial"
        # Training writes models and samples meanwhile: less than a quarter of its state.
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)) * 5 // 4 + 2**20
        try:
            self._drop_old()  # of a run that kept more
            partial.mkdir()
            # On a full disk each of Orbax's threads would print a traceback.
            check_room(partial, size)
            self._orbax.save(
                partial,
                ocp.args.Composite(
                    state=ocp.args.PyTreeSave(arrays), data=ocp.args.JsonSave(data_state)
                ),
                force=True,
            )
            if self._config is not None:
                (partial / CONFIG).write_text(json.dumps(self._config, indent=2))
            publish(partial, self._folder / str(step))
            self._drop_old()
        except BaseException:
            self._remove_leftovers()
            raise

    def _finish(self) -> None:
        """Waits for the write that is under way. Raises `UserError` if it fails."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        step, future = pending
        try:
            future.result()
        # ValueError is what Orbax makes of an error of the operating system.
        except (OSError, ValueError) as error:
            steps = self._steps()
            safe = f"step {steps[-1]} is safely saved" if steps else "there is no checkpoint yet"
            free = shutil.disk_usage(self._folder).free / 1e6
            raise UserError(
                f"cannot write the checkpoint of step {step} to {self._folder}: {_reason(error)} "
                f"({free:,.0f} MB are free); {safe}. Make room there, or lower "
                "config.keep_checkpoints; then the same command goes on"
            ) from error

    def _steps(self) -> list[int]:
        return _steps_in(self._folder)

    def _drop_old(self) -> None:
        for step in self._steps()[: -self._keep]:
            remove(self._folder / str(step))

    def _remove_leftovers(self) -> None:
        # The second are of runs from before there were checksums.
        for pattern in ("*.partial*", "*.orbax-checkpoint-tmp*"):
            for path in self._folder.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    # ---- Reading ---------------------------------------------------------------------------------

    def _newest_whole(self, like: Any, say: Callable[[str], None]) -> Restored | None:
        damage: dict[int, str] = {}
        for step in reversed(self._steps()):
            try:
                found = self._read(step, like)
            except DamagedError as error:
                damage[step] = str(error)
                continue
            for damaged, reason in damage.items():
                name = self._set_aside(damaged)
                say(f"the checkpoint of step {damaged} is damaged ({reason}): set aside as {name}")
            return found
        if damage:
            reasons = "; ".join(f"step {step}: {reason}" for step, reason in damage.items())
            raise UserError(
                f"no checkpoint in {self._folder} can be read whole ({reasons}); put a copy of one "
                "there, or give another --workdir"
            )
        return None

    def _read(self, step: int, like: Any) -> Restored:
        """The arrays are NumPy's. Raises `DamagedError`, and `UserError` if they are others."""
        folder = self._folder / str(step)
        is_whole = check_whole(folder)
        wanted = jax.tree.map(_data_shape, like)
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
        try:
            restored = self._orbax.restore(
                folder,
                ocp.args.Composite(
                    state=ocp.args.PyTreeRestore(wanted, restore_args=as_numpy),
                    data=ocp.args.JsonRestore(),
                ),
            )
        # What a damaged file is answered with depends on where in Orbax it is first used.
        except Exception as error:
            if is_whole:
                raise self._of_another_version(step, _reason(error)) from error
            raise DamagedError(_reason(error)) from error
        for found, expected in zip(*map(jax.tree.leaves, (restored.state, wanted)), strict=True):
            if (found.shape, found.dtype) != (expected.shape, expected.dtype):
                difference = (
                    f"{found.dtype}{[*found.shape]}, not {expected.dtype}{[*expected.shape]}"
                )
                raise self._of_another_version(step, difference)
        return Restored(step, restored.state, restored.data)

    def _of_another_version(self, step: int, difference: str) -> UserError:
        return UserError(
            f"the checkpoint of step {step} in {self._folder} holds other arrays than this version "
            f"of jaxstyle trains ({difference}); go on with the version that wrote it, or give "
            "another --workdir"
        )

    def _set_aside(self, step: int) -> str:
        for number in itertools.count(1):
            name = f"{step}.damaged" + (f".{number}" if number > 1 else "")
            if not (self._folder / name).exists():
                break
        try:
            (self._folder / str(step)).rename(self._folder / name)
        except OSError as error:
            raise UserError(
                f"cannot rename {self._folder / str(step)}, which is damaged: {error.strerror}"
            ) from error
        return name


def saved_steps(workdir: str | os.PathLike) -> list[int]:
    """The steps that the workdir has complete checkpoints of, ascending; creates nothing."""
    return _steps_in(Path(workdir) / "checkpoints")


def has_checkpoint(workdir: str | os.PathLike) -> bool:
    """Whether there is a complete checkpoint in the workdir; creates nothing."""
    return bool(saved_steps(workdir))


def _steps_in(folder: Path) -> list[int]:
    # A checkpoint has its bare number as a name only once it is whole.
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


def _reason(error: Exception) -> str:
    """The cause alone: Orbax wraps it in several others, over many lines."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        if os.strerror(number) in str(error):
            return os.strerror(number)
    first, *_ = [*str(error).strip().splitlines(), ""]
    first, *_ = first.split(" [tensorstore_spec")
    return first.rstrip(":") or type(error).__name__


# ---- Arrays ------------------------------------------------------------------------------------


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _local(leaf: jax.Array) -> jax.Array:
    """The same array as this process has it; of a PRNG key, the numbers it is made of."""
    if not leaf.is_fully_addressable:
        if not leaf.is_fully_replicated:
            raise ValueError("an array that is split over several processes cannot be saved")
        leaf = leaf.addressable_data(0)
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


@jax.jit
def _copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


def _data_shape(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    """Of what `_local` makes of it."""
    if _is_key(leaf):
        return jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _placed(value: np.ndarray, like: jax.Array) -> jax.Array:
    """The inverse of `_local`: every process puts its part of the array on its own devices."""
    array = jax.make_array_from_callback(value.shape, like.sharding, lambda index: value[index])
    return (
        jax.random.wrap_key_data(array, impl=jax.random.key_impl(like)) if _is_key(like) else array
    )


def _from_first_process(found: Restored | None, like: Any) -> Restored:
    """Gives every process, `found` None but in the first, what the first has found."""
    told = json.dumps([found.step, found.data_state]).encode() if found else b""
    length = int(broadcast_one_to_all(np.int32(len(told))))
    shapes, structure = jax.tree.flatten(jax.tree.map(_data_shape, like))
    if found:
        # As bytes: numbers are handed on as a sum with zeros, in which -0.0 would become 0.0.
        arrays = [np.ravel(leaf).view(np.uint8) for leaf in jax.tree.leaves(found.state)]
    else:
        told = bytes(length)
        arrays = [np.zeros(s.size * s.dtype.itemsize, np.uint8) for s in shapes]
    told, arrays = broadcast_one_to_all((np.frombuffer(told, np.uint8), arrays))
    step, data_state = json.loads(told.tobytes())
    leaves = [a.view(s.dtype).reshape(s.shape) for a, s in zip(arrays, shapes, strict=True)]
    return Restored(step, jax.tree.unflatten(structure, leaves), data_state)
