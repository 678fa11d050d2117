"""The pictures of a style that ships: on photos, on consecutive frames, mixed with others."""

import bisect
import re
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from jaxstyle.evaluation.contents import middle_square
from jaxstyle.evaluation.footage import evenly_spaced
from jaxstyle.evaluation.report.pictures import jpeg, shrunk
from jaxstyle.media.contact_sheet import contact_sheet

# In pixels.
_SMALL_SIDE, _MIX_SIDE, _CROP_SIDE = 210, 384, 256
# A sheet's rows are to be about as high as _ROW_HEIGHT; _PAIR_GAP is that of `contact_sheet`.
_SHEET_WIDTH, _ROW_HEIGHT, _HIGHEST_ROW, _GAP, _PAIR_GAP = 2400, 384, 480, 16, 4
_SMALL_PHOTOS = 3
# A small picture of more styles than this is a grid, in rows of so many.
_MOST_BELOW, _GRID_COLUMNS = 4, 4
# From hardly to clearly visible; what is still too large is made smaller instead.
_QUALITIES = (92, 88, 84, 80, 75, 70, 65)
_SHRINK, _TINY = 0.9, 16


def picture_file(name: str, what: str, style: str = "") -> str:
    """The name of a large picture's file, such as cel_photos.jpg, without spaces or signs."""
    parts = (part for part in (name, style, what) if part)
    return re.sub(r"[^\w.-]", "_", "_".join(parts)) + ".jpg"


def small_picture(
    photos: Sequence[np.ndarray], outputs: Sequence[Sequence[np.ndarray]]
) -> np.ndarray:
    """Three of the photos above what each style makes of them: uint8 [H', W', 3].

    Of more than four styles a grid, row by row, each style on one of the three photos.

    photos: uint8 [H, W, 3] each, at least 3. outputs: of each style the same, stylized.
    """
    chosen = evenly_spaced(len(photos), _SMALL_PHOTOS)
    if len(outputs) > _MOST_BELOW:
        shown = [
            middle_square(output[chosen[k % _SMALL_PHOTOS]], _SMALL_SIDE)
            for k, output in enumerate(outputs)
        ]
        white = np.full_like(shown[0], 255)
        shown += [white] * (-len(shown) % _GRID_COLUMNS)
        return contact_sheet([np.stack(shown[c::_GRID_COLUMNS]) for c in range(_GRID_COLUMNS)])
    columns = [
        np.stack([middle_square(row[i], _SMALL_SIDE) for row in (photos, *outputs)]) for i in chosen
    ]
    return contact_sheet(columns)


def photo_sheet(photos: Sequence[np.ndarray], stylized: Sequence[np.ndarray]) -> np.ndarray:
    """Each photo beside what became of it, in rows: uint8 [H', W', 3], W' at most 2400.

    photos, stylized: uint8 [H, W, 3] each, at least one, of any size and pairwise of one. They stay
    in their order; a row's are as high as it takes to fill it, but none is enlarged.
    """
    rows = []
    pairs = list(zip(photos, stylized, strict=True))
    for height, chosen in _full_rows([photo.shape[:2] for photo in photos]):
        shown = [shrunk(np.stack(pair), height / pair[0].shape[0]) for pair in pairs[chosen]]
        rows.append([contact_sheet([image[None] for image in pair]) for pair in shown])
    return _on_white(rows)


def _full_rows(shapes: Sequence[tuple[int, int]]) -> list[tuple[int, slice]]:
    """(height, which pairs) of each row, so that the rows are as nearly full as can be.

    shapes: height and width of one picture of each pair. As in Knuth and Plass's line breaking, of
    all ways to break the first n pairs into rows the best is found for n = 1, 2, ... in turn.
    """
    best: list[tuple[float, list[tuple[int, slice]]]] = [(0.0, [])]
    for end in range(1, len(shapes) + 1):
        ways = []
        for first in range(end):
            height, badness = _row(shapes[first:end])
            total, before = best[first]
            ways.append((total + badness, [*before, (height, slice(first, end))]))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def _row(shapes: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """The greatest height at which a row is not wider than the sheet, and how bad the row is.

    That is the squared share of white in it and the squared deviation from the usual height.
    """

    def width(height: int) -> int:
        widths = [2 * _shrunk_to(height, shape)[1] + _PAIR_GAP for shape in shapes]
        return sum(widths) + _GAP * (len(widths) - 1)

    heights = range(1, _HIGHEST_ROW + 1)
    height = max(1, bisect.bisect_right(heights, _SHEET_WIDTH, key=width))
    small = [_shrunk_to(height, shape) for shape in shapes]
    highest = max(h for h, _ in small)
    white = 1 - sum(2 * h * w for h, w in small) / (highest * _SHEET_WIDTH)
    return height, white**2 + (1 - highest / _ROW_HEIGHT) ** 2


def _shrunk_to(height: int, shape: tuple[int, int]) -> tuple[int, int]:
    factor = min(1, height / shape[0])
    return round(shape[0] * factor), max(1, round(shape[1] * factor))


def _on_white(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    width = max(sum(p.shape[1] for p in row) + _GAP * (len(row) - 1) for row in rows)
    height = sum(max(p.shape[0] for p in row) for row in rows) + _GAP * (len(rows) - 1)
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            left += picture.shape[1] + _GAP
        top += max(p.shape[0] for p in row) + _GAP
    return sheet


def clip_strip(frames: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """A crop of consecutive frames, at most 256 pixels a side and not scaled, above the outputs'.

    frames, outputs: uint8 [T, H, W, 3]. The crop is where the frames have most detail, for lines
    show there, and flicker. Returns uint8 [H', W', 3].
    """
    height, width = (min(_CROP_SIDE, side) for side in frames.shape[1:3])
    top, left = _most_detail(frames[0], height, width)
    crop = np.s_[:, top : top + height, left : left + width]
    return contact_sheet([np.stack(pair) for pair in zip(frames[crop], outputs[crop], strict=True)])


def _most_detail(frame: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """(top, left) of the window of that size in which neighbouring pixels differ most."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_64F))
    sums = cv2.integral(detail)
    totals = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]) + sums[
        :-height, :-width
    ]
    top, left = np.unravel_index(np.argmax(totals), totals.shape)
    return int(top), int(left)


def mix_sheet(photo: np.ndarray, mixes: Mapping[tuple[int, int], np.ndarray]) -> np.ndarray:
    """The styles of a bundle on the diagonal, right of and above it each two of them mixed.

    photo: uint8 [H, W, 3], shown in the lower left. mixes: the photo in styles i and j at 50 %
    each, i <= j, i = j the style alone; of the photo's shape. Returns uint8 [H', W', 3].
    """
    count = 1 + max(j for _, j in mixes)
    blank = np.full((_MIX_SIDE, _MIX_SIDE, 3), 255, np.uint8)
    cells = {pair: middle_square(image, _MIX_SIDE) for pair, image in mixes.items()}
    cells[count - 1, 0] = middle_square(photo, _MIX_SIDE)
    return contact_sheet(
        [np.stack([cells.get((i, j), blank) for i in range(count)]) for j in range(count)]
    )


def jpeg_within(image: np.ndarray, most_bytes: int) -> bytes:
    """A JPEG of uint8 [H, W, 3] of at most so many bytes: as good, then as large, as fits.

    Raises ValueError if not even a tiny one does.
    """
    while True:
        for quality in _QUALITIES:
            data = jpeg(image, quality)
            if len(data) <= most_bytes:
                return data
        if min(image.shape[:2]) < _TINY:
            raise ValueError(f"no JPEG has at most {most_bytes} bytes")
        image = shrunk(image[None], _SHRINK)[0]
