"""Contact sheets: what the generator does, as a picture."""

import os
from pathlib import Path

import cv2
import numpy as np

from jaxstyle.files.atomic_file import write_whole

_GAP = 4  # pixels of white between pictures


def contact_sheet(columns: list[np.ndarray]) -> np.ndarray:
    """Lays out batches of images side by side, one column each, one row per image.

    columns: uint8 [N, H, W, 3] each, all of one shape. Returns uint8 [H', W', 3].
    """
    gap = ((0, 0), (0, _GAP), (0, _GAP), (0, 0))
    padded = [np.pad(images, gap, constant_values=255) for images in columns]
    sheet = np.concatenate([np.concatenate(list(images)) for images in padded], axis=1)
    return sheet[:-_GAP, :-_GAP]


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an RGB image, uint8 [H, W, 3], atomically. Raises `UserError` if it cannot."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise ValueError(f"cannot encode an image of shape {image.shape} as PNG")
    write_whole(path, data.tobytes())
