"""Images of another source at several sizes."""

from collections.abc import Sequence

import numpy as np

from jaxstyle.data.augment import resized
from jaxstyle.data.sources import Source
from jaxstyle.media.images import ImageSequence


class Scaled(ImageSequence):
    """Each image of a source once for each of `sides`, its shorter side scaled to that.

    Image i of n is here as i, n + i, 2n + i and so on; in pixels, the aspect ratio kept. Pickles if
    the source does.
    """

    def __init__(self, source: Source, sides: Sequence[int]):
        self.source = source
        self.sides = tuple(sides)

    def __len__(self) -> int:
        return len(self.source) * len(self.sides)

    def __getitem__(self, i: int) -> np.ndarray:
        which, i = divmod(range(len(self))[i], len(self.source))
        return resized(self.source[i], self.sides[which])
