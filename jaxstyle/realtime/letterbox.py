"""Frames of any size in one size: what a program is compiled for, or a film or camera has.

On the host, by OpenCV: inside the compiled program every size of its input would be a new program.
"""

import cv2
import numpy as np

Size = tuple[int, int]
"""(width, height) in pixels."""


def fitted(size: Size, bucket: Size) -> Size:
    """The largest size of the same shape that fits into the bucket, enlarging nothing."""
    scale = min(1.0, bucket[0] / size[0], bucket[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def mirrored_into(rgb: np.ndarray, bucket: Size) -> tuple[np.ndarray, Size]:
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


def letterboxed(rgb: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W, 3] scaled up or down to fit the size as a whole, centred on black."""
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(rgb)
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[y : y + inner[1], x : x + inner[0]] = cv2.resize(
        rgb, inner, interpolation=interpolation
    )
    return picture


def buckets(size: Size, stride: int) -> list[Size]:
    """The sizes that a live picture may be computed at, largest first: its own and smaller ones.

    Each is about 0.7 times as wide as the one before it, which halves the work.
    """
    sizes: list[Size] = []
    for scale in (1.0, 0.707, 0.5, 0.354):
        shrunk = (max(1, round(length * scale)) for length in size)
        width, height = (-(-length // stride) * stride for length in shrunk)
        if (width, height) not in sizes:
            sizes.append((width, height))
    return sizes
