"""How threads pass frames on: bounded, and for live pictures the newest first."""

import collections
import threading
from collections.abc import Iterator


class FrameQueue[T]:
    """A queue of at most `depth` items between two threads.

    Where it is full, `put` waits; with `latest_only` it drops the oldest item instead.
    """

    def __init__(self, depth: int = 1, *, latest_only: bool = False):
        self._items: collections.deque[T] = collections.deque()
        self._depth = depth
        self._latest_only = latest_only
        self._ended = False
        self._abandoned = False
        self._changed = threading.Condition()

    def put(self, item: T) -> int:
        """Hands over an item; returns how many older ones were dropped for it.

        After `abandon` the item itself is dropped, uncounted.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._latest_only or self._abandoned or len(self._items) < self._depth
            )
            if self._abandoned:
                return 0
            dropped = max(0, len(self._items) + 1 - self._depth)
            for _ in range(dropped):
                self._items.popleft()
            self._items.append(item)
            self._changed.notify_all()
            return dropped

    def end(self) -> None:
        """The giver's last word: whoever takes gets what is there, and then the end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """The taker's last word: nothing more is wanted; a waiting `put` returns."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> T | None:
        """The oldest item, waiting up to `timeout` seconds for it; None if none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self.over, timeout)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    @property
    def over(self) -> bool:
        """Whether no item is left and none will come."""
        return self._abandoned or (self._ended and not self._items)

    def __iter__(self) -> Iterator[T]:
        """The items, until the end."""
        while (item := self.take()) is not None:
            yield item
