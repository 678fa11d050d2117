"""Several processes that train one model: who they are, and what they must agree on.

Each process computes on its own devices, loads its own rows of every batch, and only the first
writes. JAX connects them; on CPUs they talk by gloo.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint.multihost import get_barrier_sync_fn

from jaxstyle.errors import UserError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Seconds that processes wait for each other at the beginning.
_START_TIMEOUT = 600
# Seconds that a process which is done waits for the others: the first evaluates at the end.
_SHUTDOWN_TIMEOUT = 3600


def initialize() -> None:
    """Joins the job that this process is started as a part of; without one, does nothing.

    A job is told by, in this order:
    - JAX_COORDINATOR_ADDRESS=host:port with JAX_NUM_PROCESSES and JAX_PROCESS_ID;
    - `srun` with several tasks, each of which is a process;
    - a Cloud TPU slice, where jaxstyle[tpu] is installed.
    Under Slurm a process has the GPUs that Slurm has bound it to, all of its node's where it is the
    only one there, and otherwise the one of its number. To be called before JAX computes anything.
    Raises `UserError` for variables that do not fit together, and where the other processes cannot
    be reached.
    """
    # Signals are the training loop's to handle, see `StopVote`.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        if "JAX_COORDINATOR_ADDRESS" in os.environ:
            address = os.environ["JAX_COORDINATOR_ADDRESS"]
            if not address.rpartition(":")[2].isdecimal():
                raise UserError(f"JAX_COORDINATOR_ADDRESS is {address!r}; it must be host:port")
            count, index = _number("JAX_NUM_PROCESSES"), _number("JAX_PROCESS_ID")
            if index >= count:
                raise UserError(
                    f"JAX_PROCESS_ID is {index}, but there are {count} processes, counted from 0"
                )
            jax.distributed.initialize(
                address,
                num_processes=count,
                process_id=index,
                cluster_detection_method="deactivate",
                shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT,
                # Processes of one machine need not be reached from others.
                coordinator_bind_address=(
                    address if address.rpartition(":")[0] in _LOOPBACK else None
                ),
            )
        elif int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
            jax.distributed.initialize(
                num_processes=_number("SLURM_STEP_NUM_TASKS"),
                process_id=_number("SLURM_PROCID"),
                cluster_detection_method="slurm",
                shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT,
            )
            if _has_all_visible_gpus():
                # JAX has chosen the one of the process's number.
                jax.config.update("jax_cuda_visible_devices", "all")
        elif importlib.util.find_spec("libtpu"):
            _join_slice()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the processes of this job do not find each other: {reason}") from error


def meet(mesh: Mesh) -> None:
    """Connects the processes of a job for what they compute together.

    On CPUs they must come to the first collective within half a minute of each other, and may take
    any time for later ones. Here they first wait for all to be there.
    """
    if jax.process_count() == 1:
        return
    everybody = set(range(jax.process_count()))
    wait_for_all = get_barrier_sync_fn(processes=everybody)
    wait_for_all(key="jaxstyle_meet", timeout_ms=_START_TIMEOUT * 1000)
    multihost_utils.sync_global_devices("jaxstyle_meet")
    StopVote(mesh)(0)


def check_same(mine: str, what: str) -> None:
    """Raises `UserError`, in every process, unless all of them have the same text.

    what: that the text describes.
    """
    if jax.process_count() == 1:
        return
    digest = hashlib.sha256(mine.encode()).digest()[:8]
    digests = multihost_utils.process_allgather(np.frombuffer(digest, np.uint32))
    if (digests != digests[0]).any():
        raise UserError(f"the processes of this job do not have the same {what}; start all alike")


@contextlib.contextmanager
def leaving_at_errors() -> Iterator[None]:
    """Where one of several processes fails, it says why and ends at once, with status 1.

    On its way out, JAX would wait for the others, and they for it.
    """
    try:
        yield
    except Exception as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).strip().partition("\n")[0]
        if isinstance(error, jax.errors.JaxRuntimeError):
            reason += "; if another process was lost, start all again: they go on from the last "
            reason += "checkpoint"
        elif not isinstance(error, UserError):
            traceback.print_exc()
        print(f"error: process {jax.process_index()}: {reason}", file=sys.stderr, flush=True)
        os._exit(1)


def leave_at_signal(signum: int) -> None:
    """Ends this process where there is nothing to save; one of several does not wait for them."""
    if jax.distributed.is_initialized():
        os._exit(128 + signum)
    sys.exit(128 + signum)


def _has_all_visible_gpus() -> bool:
    one_a_node = os.environ["SLURM_STEP_NUM_TASKS"] == os.environ.get("SLURM_STEP_NUM_NODES")
    is_bound = "," not in os.environ.get("CUDA_VISIBLE_DEVICES", ",")
    return one_a_node or is_bound


def _join_slice() -> None:
    try:
        jax.distributed.initialize(shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT)
    except ValueError:
        # libtpu is installed, but this is no worker of a slice.
        return


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    if not text.isdecimal():
        raise UserError(
            f"{variable} is {text!r}; it must be a whole number: beside JAX_COORDINATOR_ADDRESS, "
            "JAX_NUM_PROCESSES says how many there are, JAX_PROCESS_ID which this is, from 0 on"
        )
    return int(text)


class StopVote:
    """The signal to stop at, agreed on by all processes: it may have reached only one of them.

    The answer is one step late, so that no step waits for it; to a process alone it comes at once.
    """

    def __init__(self, mesh: Mesh):
        everywhere = NamedSharding(mesh, PartitionSpec())
        self._votes = NamedSharding(mesh, PartitionSpec("data"))
        self._count = jax.jit(lambda votes: votes.max(), out_shardings=everywhere)
        self._last: jax.Array | None = None

    def __call__(self, signum: int) -> int:
        """Takes the signal that this process has at one step; returns that of the step before.

        0 is none. Of several the highest counts.
        """
        if jax.process_count() == 1:
            return signum
        mine = np.full(jax.local_device_count(), signum, np.int32)
        votes = jax.make_array_from_process_local_data(self._votes, mine)
        last, self._last = self._last, self._count(votes)
        return 0 if last is None else int(last)
