"""Renders many frames into one .npy file, on all cores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from jaxstyle.data.scenes.shot import frame

# Ctrl-C reaches the whole process group; the parent decides when its children end.
_WORKER = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from jaxstyle.data.scenes.cache import work; work()"
)


def fill(path: Path, rendering: str, count: int, size: tuple[int, int], first_seed: int) -> None:
    """Writes uint8 [count, H, W, 3], the frames of the seeds from `first_seed` on, to `path`.

    The file appears at once and whole: an interrupted rendering leaves nothing behind.

    Composing scenes is Python, so threads would share one core. `multiprocessing` would run the
    caller's script again in each child unless it has a __main__ guard, or fork below JAX's
    threads. Plain child processes, which write into the same mapped file, need neither.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    workers = min(os.cpu_count() or 1, count)
    children: list[subprocess.Popen] = []
    progress, signal = os.pipe()
    try:
        np.lib.format.open_memmap(partial, "w+", np.uint8, (count, *size, 3)).flush()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for worker in range(workers):
            task = [str(partial), rendering, first_seed, worker, workers]
            command = [sys.executable, "-c", _WORKER, json.dumps(task)]
            children.append(subprocess.Popen(command, stdout=signal, env=environment))
        os.close(signal)
        signal = None
        _show_progress(progress, count, f"rendering scenes ({rendering})")
        if any(child.wait() for child in children):
            raise RuntimeError("a process that renders scenes failed; its error is printed above")
        os.replace(partial, path)
    finally:
        for child in children:
            child.kill()
            child.wait()
        for end in (progress, signal):
            if end is not None:
                os.close(end)
        partial.unlink(missing_ok=True)


def _show_progress(progress: int, count: int, title: str) -> None:
    """Reads a byte per finished frame, from all children, until the last of them has ended."""
    with tqdm(total=count, desc=title, unit="frame") as bar:
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
