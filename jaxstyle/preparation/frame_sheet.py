"""Contact sheets of films: small frames in rows, each with a line of text below it."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MOST_COLUMNS = 10
_WIDTH, _GAP, _LINE = 192, 6, 20  # pixels
_TEXT_SIZE = 13
# So that the sheet of a whole film still opens.
MOST = 300


def thumbnail(rgb: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a JPEG of the width that sheets have."""
    height = max(1, round(rgb.shape[0] * _WIDTH / rgb.shape[1]))
    small = cv2.resize(rgb, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    data = io.BytesIO()
    Image.fromarray(small).save(data, "JPEG", quality=90)
    return data.getvalue()


def contact_sheet(title: str, cells: Sequence[tuple[bytes, str]]) -> bytes:
    """A JPEG of `thumbnail`s of one size, a line of text below each, and a title above all.

    Of more than 300, as many evenly spaced ones. No wider than its pictures and the title need.
    """
    if len(cells) > MOST:
        chosen = np.linspace(0, len(cells) - 1, MOST).round().astype(int)
        title += f" ({MOST} of them shown)"
        cells = [cells[i] for i in chosen]
    # File names may hold line breaks.
    title = " ".join(title.splitlines())
    height = Image.open(io.BytesIO(cells[0][0])).height if cells else 0
    across, down = _WIDTH + _GAP, height + _LINE + _GAP
    columns = min(_MOST_COLUMNS, max(1, len(cells)))
    rows = -(-len(cells) // columns)
    # Matplotlib brings this font along.
    font = ImageFont.truetype(
        Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _TEXT_SIZE
    )
    width = max(columns * across + _GAP, math.ceil(font.getlength(title)) + 2 * _GAP)
    sheet = Image.new("RGB", (width, _LINE + _GAP + rows * down), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _LINE / 2 + 2), title, "black", font, anchor="lm")
    for i, (picture, text) in enumerate(cells):
        x, y = _GAP + i % columns * across, _LINE + _GAP + i // columns * down
        sheet.paste(Image.open(io.BytesIO(picture)), (x, y))
        draw.text((x, y + height + _LINE / 2), text, "black", font, anchor="lm")
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=90)
    return data.getvalue()


def time_code(seconds: float) -> str:
    """Such as 1:02:03.4, to a tenth of a second, rounded down."""
    tenths = int(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes // 60}:{minutes % 60:02d}:{tenths // 10:02d}.{tenths % 10}"
