"""The pictures of a style that ships: on photos, on consecutive frames, mixed with others."""

import re
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from jaxstyle.evaluation.contents import middle_square
from jaxstyle.evaluation.footage import evenly_spaced
from jaxstyle.evaluation.report.pictures import jpeg, shrunk
from jaxstyle.samples import contact_sheet

# In pixels. The sheet's pictures are all as high; of a landscape that is the shorter side.
_SMALL_SIDE, _SHEET_HEIGHT, _MIX_SIDE, _CROP_SIDE = 210, 384, 384, 256
_SHEET_WIDTH, _GAP = 2400, 16
_SMALL_PHOTOS = 3
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
    """Three of the photos above what each style makes of them: uint8 [H', 638, 3].

    photos: uint8 [H, W, 3] each, at least 3. outputs: of each style the same, stylized.
    """
    chosen = evenly_spaced(len(photos), _SMALL_PHOTOS)
    columns = [
        np.stack([middle_square(row[i], _SMALL_SIDE) for row in (photos, *outputs)]) for i in chosen
    ]
    return contact_sheet(columns)


def photo_sheet(photos: Sequence[np.ndarray], stylized: Sequence[np.ndarray]) -> np.ndarray:
    """Each photo beside what became of it, in rows: uint8 [H', W', 3], W' about 2400.

    photos, stylized: uint8 [H, W, 3] each, of any size and pairwise of one.
    """
    pairs = []
    for pair in zip(photos, stylized, strict=True):
        small = shrunk(np.stack(pair), _SHEET_HEIGHT / pair[0].shape[0])
        pairs.append(contact_sheet([image[None] for image in small]))
    return _in_rows(pairs)


def _in_rows(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """One beside the other until a row is full, on white."""
    rows: list[list[np.ndarray]] = [[]]
    for picture in pictures:
        width = sum(other.shape[1] + _GAP for other in rows[-1]) + picture.shape[1]
        if rows[-1] and width > _SHEET_WIDTH:
            rows.append([])
        rows[-1].append(picture)
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
