"""Frames of any size in the few sizes that programs are compiled for."""

import cv2
import numpy as np

Size = tuple[int, int]
"""(width, height) in pixels."""


def fitted(size: Size, bucket: Size) -> Size:
    """The largest size of the same shape that fits into the bucket, enlarging nothing."""
    scale = min(1.0, bucket[0] / size[0], bucket[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def letterboxed(rgb: np.ndarray, bucket: Size) -> tuple[np.ndarray, Size]:
    """uint8 [H, W, 3] shrunk to fit and mirrored to fill the bucket; and the picture's size in it.

    The picture is at the top left: `result[:height, :width]` is it alone. Mirrored rather than
    black, because a generator draws an outline around a black border.
    """
    height, width = rgb.shape[:2]
    size = fitted((width, height), bucket)
    if size != (width, height):
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    below, right = bucket[1] - size[1], bucket[0] - size[0]
    if below or right:
        rgb = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REFLECT)
    return rgb, size


def buckets(size: Size, stride: int) -> list[Size]:
    """The sizes that a live picture may be computed at, largest first: its own and smaller ones.

    Each is about 0.7 times as wide as the one before it, which halves the work, down to a quarter.
    """
    sizes = []
    for scale in (1.0, 0.707, 0.5, 0.354, 0.25):
        bucket = tuple(-(-round(length * scale) // stride) * stride for length in size)
        if bucket not in sizes:
            sizes.append(bucket)
    return sizes
