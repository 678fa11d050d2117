"""A training run as a child process: its log, the lock on its folder, and how it ended."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import make_folder, write_whole
from jaxstyle.interrupt import STOP_SIGNALS

LOG = "log.txt"
_LOCK, _EXIT_STATUS = ".lock", "exit_status"

# What `jaxstyle.main` exits with once it has saved, and what a signal that came earlier ends it by.
STOPPED_STATUSES = {status for signum in STOP_SIGNALS for status in (128 + signum, -signum)}


class TrainingProcess:
    """Runs a training command until it ends; all it prints is appended to WORKDIR/log.txt."""

    def __init__(
        self,
        command: Sequence[str],
        workdir: Path,
        *,
        cores: Sequence[int] | None = None,
        environment: Mapping[str, str] | None = None,
    ):
        """Starts it. Raises `UserError` if another process trains there.

        cores: the only ones that it may use; None is all. environment: variables to add.
        """
        make_folder(workdir)
        self._workdir = workdir
        self._is_told = False
        # --status of another process holds it for a moment.
        lock = _take_lock(workdir, patience=1.0)
        try:
            forget_exit_status(workdir)
            with (workdir / LOG).open("ab") as log, _on_cores(cores):
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | (environment or {}),
                    # The lock is the child's, too: it holds even if this process is killed.
                    pass_fds=[lock],
                    # What a terminal sends to all its processes would reach it a second time.
                    start_new_session=True,
                )
        except OSError as error:
            raise UserError(f"cannot start {command[0]}: {error.strerror}") from error
        finally:
            os.close(lock)

    def poll(self) -> int | None:
        """The exit status once it has ended: negative for the signal that killed it."""
        return None if self._process.poll() is None else self.wait()

    def wait(self) -> int:
        """Waits until it ends; returns the exit status."""
        status = self._process.wait()
        write_whole(self._workdir / _EXIT_STATUS, str(status).encode())
        return status

    def stop(self) -> None:
        """Has it save and end; further calls change nothing."""
        if not self._is_told:
            self._is_told = True
            self._process.send_signal(signal.SIGTERM)

    def wait_in_signal_handler(self) -> None:
        """Waits until it ends, also where the handler interrupts `wait`, whose lock is held."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()


def is_locked(workdir: Path) -> bool:
    """Whether a process trains there now, as far as this machine can see."""
    if not (workdir / _LOCK).exists():
        return False
    try:
        os.close(_take_lock(workdir))
    except UserError:
        return True
    return False


def exit_status(workdir: Path) -> int | None:
    """What the last process there ended with; None without one, or if its host went down."""
    try:
        return int((workdir / _EXIT_STATUS).read_text())
    except (OSError, ValueError):
        return None


def forget_exit_status(workdir: Path) -> None:
    """Has `exit_status` return None until a process has ended there again."""
    (workdir / _EXIT_STATUS).unlink(missing_ok=True)


def _take_lock(workdir: Path, patience: float = 0.0) -> int:
    """A file descriptor that holds the lock. Raises `UserError` if another has it for so long."""
    lock = os.open(workdir / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(lock)
            raise UserError(f"another process trains in {workdir}; wait until it is done") from None
        except OSError:
            # A file system without locks.
            pass
        return lock


@contextlib.contextmanager
def _on_cores(cores: Sequence[int] | None) -> Iterator[None]:
    """Children that are started meanwhile use these cores only."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
