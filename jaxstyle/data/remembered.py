"""Images that are decoded once and then kept in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxstyle.data.sources import Source


class Remembered(Sequence[np.ndarray]):
    """The images of a source, each decoded on its first request and kept.

    Once `limit` bytes are held nothing more is kept: further images are decoded whenever they are
    asked for, as without this. Threads may share it. Pickles if the source does, without what is
    kept, so that every worker process has up to `limit` bytes of its own. What it gives out is
    not to be written to.
    """

    def __init__(self, source: Source, limit: int):
        self.source = source
        self.limit = limit
        self._kept: dict[int, np.ndarray] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(len(self))[i]
        if (image := self._kept.get(i)) is not None:
            return image
        image = self.source[i]
        # Two threads may decode one image at once, or together go past the limit by an image.
        if self._held + image.nbytes <= self.limit:
            self._held += image.nbytes
            self._kept[i] = image
        return image

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_held": 0}
