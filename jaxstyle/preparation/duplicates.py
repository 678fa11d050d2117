"""Frames that look like one that is already there."""

import cv2
import numpy as np


def perceptual_hash(grey: np.ndarray) -> int:
    """64 bits of uint8 [h, w] that change little with size, compression, brightness and contrast.

    pHash (Zauner 2010): the signs, against their median, of the 8 x 8 lowest frequencies of the
    discrete cosine transform at 32 x 32 pixels. Colours play no part.
    """
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    # The first is the mean brightness.
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes())


class SeenFrames:
    """The hashes of the frames kept so far.

    tolerance: how many of 64 bits may differ (Hamming distance) in what is called a duplicate.
    """

    def __init__(self, tolerance: int):
        self._tolerance = tolerance
        self._hashes: list[int] = []

    def has_like(self, hash_bits: int) -> bool:
        """Whether a frame like this one was added."""
        seen = np.array(self._hashes, np.uint64)
        distances = np.bitwise_count(seen ^ np.uint64(hash_bits))
        return bool((distances <= self._tolerance).any())

    def add(self, hash_bits: int) -> None:
        """Adds a frame by its hash."""
        self._hashes.append(hash_bits)
