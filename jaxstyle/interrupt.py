"""Ctrl-C, SIGTERM and SIGHUP as requests: work stops where it can be gone on from."""

import signal
from types import FrameType, TracebackType

# SIGHUP, which not every platform has, comes when the terminal is closed.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(SystemExit):
    """Ends the program, when nobody catches it, with the status a shell expects: 128 + signal."""

    def __init__(self, signum: int):
        super().__init__(128 + signum)


class StopRequest:
    """While entered, turns the first such signal into `requested`.

    Ctrl-C after it interrupts. A further polite one asks for what is being done already: schedulers
    send theirs to all processes of a job, some of which pass them on. Works in the main thread
    only, as Python's signal handlers do.
    """

    def __init__(self):
        self._signum: int | None = None
        self._previous = {}

    @property
    def signum(self) -> int:
        """The signal that has come; 0 for none."""
        return self._signum or 0

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signum is not None

    def stopped(self) -> Stopped:
        """The exception to raise once everything is saved."""
        return Stopped(self.signum)

    def __enter__(self) -> "StopRequest":
        for signum in STOP_SIGNALS:
            # What is ignored from the start, as SIGHUP under nohup, stays ignored.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._previous[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self._signum is None:
            self._signum = signum
        elif signum == signal.SIGINT:
            self._restore()
            signal.raise_signal(signum)

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous = {}
