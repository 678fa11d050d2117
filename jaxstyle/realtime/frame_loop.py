"""The loop: capture, stylize and present, each on threads of its own, frames handed over between.

    source -> [capture] -> [stylize] -> device -> [collect] -> [present] -> sink, for each sink

A live source is never waited for and never falls behind: where a thread is busy, the newest frame
takes the place of the one that waits. Of films and images every frame arrives.
"""

import contextlib
import dataclasses
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
from tqdm import tqdm

from jaxstyle.errors import UserError
from jaxstyle.interrupt import STOP_SIGNALS
from jaxstyle.media.film import Frame
from jaxstyle.realtime.captures import Captures
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.frame_queue import FrameQueue
from jaxstyle.realtime.frame_sinks import Sink, SinkClosed
from jaxstyle.realtime.frame_sources import Source, resized
from jaxstyle.realtime.judging import JudgeSink
from jaxstyle.realtime.letterbox import Size
from jaxstyle.realtime.mask import Mask
from jaxstyle.realtime.metrics import Metrics
from jaxstyle.realtime.scheduler import Job, Scheduler
from jaxstyle.realtime.window import WindowSink

# Frames that wait for a recorder while others watch; one more, and the oldest is dropped.
_RECORDER_DEPTH = 8
# A live source that does not let go in this time is left to end with the process.
_PATIENCE_S = 3.0


class Captured(NamedTuple):
    """A frame, and when it came in by `time.monotonic`."""

    frame: Frame
    at: float


class Loop:
    """One run of a source through a stylizer into sinks.

    sinks: by the names they have in the figures. stretch_to: (width, height) that frames get
    before anything else. max_frames: how many are stylized. mask: where they are.
    """

    def __init__(
        self,
        source: Source,
        scheduler: Scheduler,
        sinks: Mapping[str, Sink],
        controls: Controls,
        metrics: Metrics,
        *,
        stretch_to: Size | None = None,
        max_frames: int | None = None,
        mask: Mask | None = None,
    ):
        self._source = source
        self._scheduler = scheduler
        self._sinks = dict(sinks)  # those that have not failed
        self._failing = threading.Lock()
        self._controls = controls
        self._metrics = metrics
        self._stretch_to = stretch_to
        self._max_frames = max_frames
        self._mask = mask
        watched = any(sink.live for sink in sinks.values())
        self._paced = watched and not source.live
        # Of what is watched no more are ahead than needed: controls act on them late.
        self._captured = FrameQueue[Captured](
            1 if source.live or watched else 3, latest_only=source.live
        )
        self._computing = FrameQueue[tuple[Job, list[Captured]]](scheduler.in_flight)
        self._free = threading.Semaphore(scheduler.in_flight)
        self._presented = {
            name: FrameQueue[Captured](
                1 if sink.live else _RECORDER_DEPTH, latest_only=source.live and watched
            )
            for name, sink in sinks.items()
        }
        self._ending = threading.Event()
        self._aborted = threading.Event()
        self._window = next((n for n, s in sinks.items() if isinstance(s, WindowSink)), None)
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Runs until the source ends, after `max_frames`, or until a person ends it.

        Ctrl-C ends it, too, and what is being recorded is completed; it interrupts a film that is
        written to a file, as the result would be half of one: `KeyboardInterrupt`.

        Raises `UserError` for what goes wrong, also if a frame does not fit into memory. Of a live
        source what was recorded until then is completed first, and if one of several sinks fails,
        the others go on. For the main thread only.
        """
        threads = [
            self._thread("capture", self._capture),
            self._thread("stylize", self._stylize),
            self._thread("collect", self._collect),
            *(
                self._thread(f"present {name}", functools.partial(self._present, name))
                for name in self._sinks
                if name != self._window
            ),
        ]
        interruption = None
        try:
            self._watch(threads)
        except KeyboardInterrupt as error:
            interruption = error
        except BaseException as error:
            self._errors.append(error)
        # An impatient second Ctrl-C would tear what is being completed out of its threads' hands.
        with _signals_ignored():
            is_half = self._makes_a_whole and (interruption or self._errors)
            if is_half:
                self._abort()
            self._end(threads)
            is_half = is_half or (self._makes_a_whole and self._errors)
            self._finish([s for s in self._sinks.values() if not is_half or _is_extra(s)])
        if is_half and interruption:
            raise interruption
        if self._errors:
            raise self._errors[0]

    @property
    def _makes_a_whole(self) -> bool:
        """Whether the result is worth nothing unless it is complete: a film written to a file."""
        kept = any(not (sink.live or _is_extra(sink)) for sink in self._sinks.values())
        return kept and not self._source.live

    def _finish(self, sinks: list[Sink]) -> None:
        for sink in sinks:
            try:
                sink.finish()
            except UserError as error:
                self._errors.append(error)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                with _memory_errors():
                    work()
            except BaseException as error:
                self._errors.append(error)
                self._abort()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _abort(self) -> None:
        """Has every thread stop where it is."""
        self._aborted.set()
        self._ending.set()
        self._free.release()
        self._captured.abandon()
        self._computing.abandon()
        for queue in self._presented.values():
            queue.abandon()

    def _end(self, threads: list[threading.Thread]) -> None:
        """Takes no more frames; lets those on their way arrive."""
        self._ending.set()
        if window := self._window:
            # Nobody looks any more, and a film's frames would wait for it.
            self._presented[window].abandon()
        self._scheduler.close()
        if self._source.live:
            self._source.close()
        capture, *others = threads
        capture.join(_PATIENCE_S if self._source.live else None)
        self._captured.end()
        for thread in others:
            thread.join()

    def _watch(self, threads: list[threading.Thread]) -> None:
        """The main thread's part: the window, which works nowhere else, and the progress."""
        window = self._window
        # Not the one that captures, which a silent camera may hold up for good.
        _, *others = threads
        total = min(filter(None, [self._source.total, self._max_frames]), default=None)
        with tqdm(total=total, unit="frame", disable=None) as progress:
            while any(thread.is_alive() for thread in others) or self._has_more_to_show:
                if window:
                    self._show(window)
                else:
                    self._controls.finished.wait(0.05)
                progress.update(self._metrics.counts["stylized"] - progress.n)
                if self._controls.finished.is_set():
                    if self._makes_a_whole:
                        raise KeyboardInterrupt
                    return
            progress.update(self._metrics.counts["stylized"] - progress.n)

    @property
    def _has_more_to_show(self) -> bool:
        return self._window is not None and not self._presented[self._window].over

    def _show(self, window: str) -> None:
        sink, queue = self._sinks[window], self._presented[window]
        captured = queue.take(timeout=0.005)
        try:
            if captured:
                self._write(window, captured)
            if isinstance(sink, WindowSink):
                sink.poll()
        except SinkClosed:
            self._controls.finished.set()

    def _capture(self) -> None:
        try:
            self._read()
        except UserError as error:
            if not self._source.live:
                raise
            self._errors.append(error)
        self._captured.end()

    def _read(self) -> None:
        frames = iter(self._source)
        start = None
        while not self._ending.is_set():
            before = time.monotonic()
            frame = next(frames, None)
            if frame is None:
                break
            at = time.monotonic()
            self._metrics.time("capture", at - before)
            if self._source.live and self._controls.settings.paused:
                continue
            self._metrics.count("in")
            while self._controls.settings.paused and not self._ending.wait(0.02):
                start = None
            if self._paced:
                start = self._wait_until_due(frame, start)
            at = time.monotonic() if self._paced else getattr(self._source, "taken_at", at)
            if self._stretch_to:
                frame = resized(frame, self._stretch_to)
            dropped = self._captured.put(Captured(frame, at))
            self._metrics.count("dropped at capture", dropped)

    def _wait_until_due(self, frame: Frame, start: float | None) -> float:
        """Waits for the frame's time in a film that is watched; returns when the film started."""
        due = float(frame.pts * self._source.time_base)
        now = time.monotonic()
        # A film that cannot keep up runs late from there on, instead of hurrying after it.
        start = now - due if start is None or now > start + due else start
        self._ending.wait(max(0.0, start + due - now))
        return start

    def _stylize(self) -> None:
        left = self._max_frames
        waiting: list[Captured] = []
        first_pts = None
        while left is None or left > 0:
            # Before a frame is taken, so that it is the newest when its turn comes.
            self._free.acquire()
            if self._aborted.is_set():
                break
            group = self._take_group(waiting, left)
            if not group:
                break
            for captured in group:
                self._metrics.time("wait", time.monotonic() - captured.at)
            frames = [captured.frame for captured in group]
            first_pts = frames[0].pts if first_pts is None else first_pts
            settings = [
                self._controls.settings_at(float((frame.pts - first_pts) * self._source.time_base))
                for frame in frames
            ]
            job = self._scheduler.start(
                [frame.rgb for frame in frames], settings[0], [s.strength for s in settings]
            )
            self._computing.put((job, group))
            left = left and left - len(group)
        self._ending.set()
        self._captured.abandon()
        self._computing.end()

    def _take_group(self, waiting: list[Captured], most: int | None) -> list[Captured]:
        """The next frame; of a film, as many as make a batch of one size. Empty at the end."""
        size = 1 if self._source.live else min(filter(None, [self._scheduler.batch, most]))
        while len(waiting) < size and (captured := self._captured.take()) is not None:
            waiting.append(captured)
        group: list[Captured] = []
        while waiting and len(group) < size:
            if group and waiting[0].frame.rgb.shape != group[0].frame.rgb.shape:
                break
            group.append(waiting.pop(0))
        return group

    def _collect(self) -> None:
        done = 0.0
        for job, group in self._computing:
            pictures = job.pictures()
            self._free.release()
            now = time.monotonic()
            self._metrics.time("stylize", now - job.started)
            # Not the time that it waited on the device for the one before it.
            if note := self._scheduler.observe(job, now - max(job.started, done)):
                self._say(note)
            done = now
            for captured, rgb in zip(group, pictures, strict=True):
                self._metrics.stylized()
                original = captured.frame.rgb
                if self._mask:
                    rgb = self._mask.blended(original, rgb)
                frame = dataclasses.replace(captured.frame, rgb=rgb, original=original)
                for name, queue in list(self._presented.items()):
                    dropped = queue.put(Captured(frame, captured.at))
                    self._metrics.count(f"dropped before {name}", dropped)
        for queue in self._presented.values():
            queue.end()

    def _present(self, name: str) -> None:
        queue, sink = self._presented[name], self._sinks[name]
        try:
            while not queue.over:
                if captured := queue.take(timeout=0.1):
                    self._write(name, captured)
                elif isinstance(sink, Captures):
                    sink.take_snapshot()
        except SinkClosed:
            self._controls.finished.set()
            queue.abandon()
        except UserError as error:
            # Of several that fail at once, the last must see that no other is left.
            with self._failing:
                self._sinks = {n: sink for n, sink in self._sinks.items() if n != name}
                left = list(self._sinks.values())
            # Scores of pictures that go nowhere are not worth going on for.
            if not self._source.live or all(
                isinstance(sink, JudgeSink) or _is_extra(sink) for sink in left
            ):
                raise
            self._say(f"{name} has failed, the others go on: {error}")
            self._errors.append(error)
            queue.abandon()

    def _write(self, name: str, captured: Captured) -> None:
        before = time.monotonic()
        self._sinks[name].write(captured.frame)
        now = time.monotonic()
        self._metrics.shown(now)
        self._metrics.time(f"present {name}", now - before)
        self._metrics.time(f"capture to {name}", now - captured.at)
        self._metrics.count(f"out {name}")

    def _say(self, text: str) -> None:
        self._metrics.note(text)
        tqdm.write(text, file=sys.stderr)


def _is_extra(sink: Sink) -> bool:
    """Whether it is there only for what is asked for along the way."""
    return isinstance(sink, Captures)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        # JAX has no class of its own for a full device.
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            "frames of this size do not fit into memory; give a smaller --size"
        ) from error
