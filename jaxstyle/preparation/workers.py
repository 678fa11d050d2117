"""Films in several processes at a time, with one progress bar over all their frames."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import cv2
from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmReader
from jaxstyle.preparation.results import Results

_POLL_SECONDS = 0.5

_frames_done: Synchronized
"""In a worker: how many frames all of them have done."""


def prepare_films(films: Sequence[tuple[Path, str]], results: Results, jobs: int) -> None:
    """Prepares films, given with their names, `jobs` at a time.

    An exception, Ctrl-C too, stops all at once; films that are done stay done. Raises `UserError`
    if results cannot be written, or a process died.
    """
    # The longest first, so that none of them is left alone at the end.
    lengths = {name: _length(path) for path, name in films}
    films = sorted(films, key=lambda film: -lengths[film[1]])
    with tqdm(total=sum(lengths.values()), unit="frame", smoothing=0.1, disable=None) as bar:
        try:
            if min(jobs, len(films)) <= 1:
                for path, name in films:
                    results.make(path, name, bar.update)
            else:
                _prepare_in_processes(films, results, jobs, bar)
        finally:
            results.remove_unfinished()


def _prepare_in_processes(
    films: Sequence[tuple[Path, str]], results: Results, jobs: int, bar: tqdm
) -> None:
    # Not forked: the libraries that decode and write have threads.
    context = multiprocessing.get_context("spawn")
    frames_done = context.Value("q", 0)
    with ProcessPoolExecutor(jobs, context, _begin_worker, (frames_done,)) as pool:
        try:
            pending = {pool.submit(_make, results, path, name) for path, name in films}
            while pending:
                finished, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
                bar.update(frames_done.value - bar.n)
                for future in finished:
                    future.result()
        except BaseException as error:
            for process in multiprocessing.active_children():
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise UserError(
                    "a process died, perhaps for want of memory; run the same again, "
                    "with fewer --jobs"
                ) from error
            raise


def _begin_worker(frames_done: Synchronized) -> None:
    global _frames_done
    _frames_done = frames_done
    # Ctrl-C reaches every process of a terminal; the first one sees to the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """So that a first process that was killed leaves none behind that wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _make(results: Results, path: Path, name: str) -> None:
    results.make(path, name, _count)


def _count(frames: int) -> None:
    with _frames_done.get_lock():
        _frames_done.value += frames


def _length(path: Path) -> int:
    """In frames, as far as the file says it."""
    try:
        with FilmReader(path) as film:
            return film.total or 0
    except UserError:
        return 0
