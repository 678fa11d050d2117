"""Frames too large for memory, in overlapping tiles whose seams cannot be seen.

It works for generators without normalisation over the frame: there a pixel depends on its
neighbourhood alone, and tiles that overlap by as much agree with the whole.
"""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.inference.engine import Stylizer, initial_state
from jaxstyle.inference.settings import Settings


@dataclasses.dataclass(frozen=True)
class Tile:
    """Where a tile lies: what it is computed from, and which part of the result is kept of it."""

    input: tuple[slice, slice]
    kept: tuple[slice, slice]

    @property
    def kept_in_tile(self) -> tuple[slice, slice]:
        """`kept`, counted from the tile's own corner."""
        rows, columns = (
            slice(kept.start - whole.start, kept.stop - whole.start)
            for kept, whole in zip(self.kept, self.input, strict=True)
        )
        return rows, columns


def tile_grid(height: int, width: int, tile: int, overlap: int, stride: int) -> list[Tile]:
    """Tiles that cover the frame, all of one size: `tile` squared or the frame's, where less.

    height, width: multiples of `stride`. So are the corners of the tiles, so that all share the
    grid of the generator's cells. What is kept of each is `overlap` or more from its borders,
    unless it is the frame's border, too.
    """
    rows = list(_spans(height, tile, overlap, stride))
    columns = list(_spans(width, tile, overlap, stride))
    return [
        Tile((row, column), (kept_row, kept_column))
        for row, kept_row in rows
        for column, kept_column in columns
    ]


def _spans(length: int, tile: int, overlap: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis: what each tile is computed from, and what of it is kept."""
    tile -= tile % stride
    overlap += -overlap % stride
    if tile <= 2 * overlap:
        raise ValueError(f"tiles of {tile} pixels are no larger than twice the overlap {overlap}")
    start = kept_from = 0
    while start + tile < length:
        kept_to = start + tile - overlap
        yield slice(start, start + tile), slice(kept_from, kept_to)
        kept_from = kept_to
        start = min(kept_from - overlap, length - tile)
    yield slice(start, length), slice(kept_from, length)


def stylize_in_tiles(
    stylizer: Stylizer, frame: np.ndarray, settings: Settings, tile: int = 2048
) -> np.ndarray:
    """Stylizes uint8 [H, W, 3] of any size in tiles of `tile` pixels squared.

    The result is that of the whole frame within 1 of 255 levels. Smoothing needs the frame before
    and is not applied. Raises `UserError` if the generator sees the whole frame at once.
    """
    radius = stylizer.receptive_radius
    height, width = frame.shape[:2]
    if radius is None:
        raise UserError(
            f"a picture of {width}x{height} is too large for this model, which needs all of it "
            "at once; give a smaller --size"
        )
    stride = max(generator.stride for generator in stylizer.generators)
    # As the engine pads a whole frame; and no tile is smaller than the others and compiles anew.
    padded = cv2.copyMakeBorder(
        frame, 0, -height % stride, 0, -width % stride, cv2.BORDER_REPLICATE
    )
    result = np.empty_like(padded)
    state = None
    for place in tile_grid(padded.shape[0], padded.shape[1], tile, radius, stride):
        part = padded[place.input][None]
        # The split counts in widths of what is computed, here a tile.
        split = (settings.split * width - place.input[1].start) / part.shape[2]
        part_settings = dataclasses.replace(settings, split=split, smoothing=0.0)
        state = state or initial_state(*part.shape[1:3])
        state, stylized = stylizer.step(state, part, part_settings)
        result[place.kept] = np.asarray(stylized)[0][place.kept_in_tile]
    return result[:height, :width]
