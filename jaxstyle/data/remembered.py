"""Images that are decoded once and then kept in memory."""

import threading
from typing import Any

import numpy as np

from jaxstyle.data.sources import Source
from jaxstyle.media.images import ImageSequence


class Remembered(ImageSequence):
    """The images of a source, each decoded on its first request and kept.

    Once `limit` bytes are held nothing more is kept: further images are decoded whenever they are
    asked for, as without this. Threads may share it. Pickles if the source does, without what is
    kept, so that every worker process has up to `limit` bytes of its own. What it gives out is not
    to be written to.
    """

    def __init__(self, source: Source, limit: int):
        self.source = source
        self.limit = limit
        self._forget()

    def _forget(self) -> None:
        self._kept: dict[int, np.ndarray] = {}
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(len(self))[i]
        if (image := self._kept.get(i)) is not None:
            return image
        image = self.source[i]
        with self._lock:
            # Another thread may have decoded it at the same time.
            if i not in self._kept and self._held + image.nbytes <= self.limit:
                self._held += image.nbytes
                self._kept[i] = image
        return image

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
