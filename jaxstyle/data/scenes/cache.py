"""Renders many frames into one .npy file, on all cores."""

import glob
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from jaxstyle.data.scenes.shot import frame
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import move_whole, one_process_at_a_time

_WORKER = "from jaxstyle.data.scenes.cache import work; work()"


def fill(path: Path, rendering: str, count: int, size: tuple[int, int], first_seed: int) -> None:
    """Writes uint8 [count, H, W, 3], the frames of the seeds from `first_seed` on, to `path`.

    Where another process is at it, waits for that one instead. The file appears at once and whole:
    an interrupted rendering leaves nothing behind.

    Composing scenes is Python, so threads would share one core. `multiprocessing` would run the
    caller's script again in each child unless it has a __main__ guard, or fork below JAX's
    threads. Plain child processes, which write into the same mapped file, need neither.

    Raises `UserError` if the folder of `path` cannot be written, or its disk is too full.
    """
    _prepare_folder(path.parent, count * size[0] * size[1] * 3)
    title = f"rendering scenes ({rendering})"
    # Runs of a sweep, and the processes of one run, ask for the same scenes at the same time.
    with one_process_at_a_time(path.parent, title):
        if not path.exists():
            _render(path, rendering, count, size, first_seed, title)


def _render(
    path: Path, rendering: str, count: int, size: tuple[int, int], first_seed: int, title: str
) -> None:
    partial = path.with_suffix(f".{platform.node()}-{os.getpid()}.partial")
    workers = min(_usable_cores(), count)
    children: list[subprocess.Popen] = []
    progress, signal = os.pipe()
    ends = [progress, signal]
    try:
        np.lib.format.open_memmap(partial, "w+", np.uint8, (count, *size, 3)).flush()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for worker in range(workers):
            task = [str(partial), rendering, first_seed, worker, workers]
            command = [sys.executable, "-c", _WORKER, json.dumps(task)]
            # Out of reach of the terminal's Ctrl-C: this process ends its children itself.
            child = subprocess.Popen(
                command, stdout=signal, env=environment, start_new_session=True
            )
            children.append(child)
        os.close(signal)
        ends.remove(signal)
        _show_progress(progress, count, title)
        if any(child.wait() for child in children):
            raise RuntimeError("a process that renders scenes failed; its error is printed above")
        move_whole(partial, path)
    finally:
        for child in children:
            child.kill()
            child.wait()
        for end in ends:
            os.close(end)
        partial.unlink(missing_ok=True)


def _prepare_folder(folder: Path, needed: int) -> None:
    """Makes the folder, clears it of what killed processes have left, checks for `needed` bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise UserError(
            f"scenes: cannot write to the folder {folder}; set config.data.cache_dir to another one"
        )
    # Only this machine's: on a shared disk, other machines may be rendering right now.
    for partial in folder.glob(f"scenes-*.{glob.escape(platform.node())}-*.partial"):
        if not _is_running(int(partial.stem.rpartition("-")[2])):
            partial.unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"scenes: {folder} has {free / 1e9:.1f} GB free of {needed / 1e9:.1f} GB needed; "
            "set config.data.cache_dir to a folder on another disk, or ask for fewer scenes"
        )


def _is_running(pid: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere, signal 0 is no question but a signal
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _usable_cores() -> int:
    """Those that this process may use: fewer than there are in batch jobs and containers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _show_progress(progress: int, count: int, title: str) -> None:
    """Reads a byte per finished frame, from all children, until the last of them has ended."""
    # In a log file every update is a line.
    interval = 1 if sys.stderr.isatty() else 30
    with tqdm(
        total=count, desc=title, unit="frame", mininterval=interval, maxinterval=interval
    ) as bar:
        while done := os.read(progress, 4096):
            bar.update(len(done))


def work() -> None:
    """What a child process does: every `workers`-th frame, and a byte to stdout for each."""
    path, rendering, first_seed, worker, workers = json.loads(sys.argv[1])
    cv2.setNumThreads(1)  # the processes already use all cores
    frames = np.load(path, mmap_mode="r+")
    for i in range(worker, len(frames), workers):
        frames[i] = frame(rendering, first_seed + i, frames.shape[1:3])
        os.write(sys.stdout.fileno(), b".")
    frames.flush()
