"""The pictures as HTML: of each content a contact sheet, consecutive frames and what changes."""

import base64
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from jaxstyle.evaluation.report import pictures
from jaxstyle.evaluation.report.pictures import Strip

# At about a quarter of a byte per pixel, the page stays at a few MB.
_MOST_PIXELS = 20_000_000
_SMALLEST_SHOWN = 96  # pixels; where there is no room for that, the page scrolls sideways


def gallery(document: dict, strips: Sequence[Strip]) -> str:
    """All pictures, made smaller by one factor where they would be too much for one page."""
    if not strips:
        return "<p>None.</p>"
    factor = math.sqrt(_MOST_PIXELS / max(_MOST_PIXELS, pictures.pixels(strips)))
    how = "<p>A click shows a picture at full size; the arrow keys step through them.</p>\n"
    return how + "\n".join(_content(document, strip, factor) for strip in strips)


def _content(document: dict, strip: Strip, factor: float) -> str:
    html = f"<h3>{escape(strip.content)}</h3>\n" + _contact_sheet(document, strip, factor)
    if len(strip.frames["input"]) > 1:
        html += _consecutive_frames(document, strip, factor) + _changes(document, strip, factor)
    return html


def _contact_sheet(document: dict, strip: Strip, factor: float) -> str:
    columns = {
        name: pictures.shrunk(batch, factor)
        for name, batch in pictures.in_order(strip.pictures, document).items()
    }
    rows = {
        f"{k + 1}": [
            _picture(batch[k], f"{strip.content}: {name}, picture {k + 1}")
            for name, batch in columns.items()
        ]
        for k in range(len(columns["input"]))
    }
    return _grid("sheet", list(columns), rows, columns["input"].shape[2])


def _consecutive_frames(document: dict, strip: Strip, factor: float) -> str:
    frames = {
        name: pictures.shrunk(batch, factor)
        for name, batch in pictures.in_order(strip.frames, document).items()
    }
    heads = [f"frame {t + 1}" for t in range(len(frames["input"]))]
    title = f"<h4>Consecutive frames of {escape(strip.content)}</h4>\n"
    return title + _rows_of(strip.content, heads, frames)


def _changes(document: dict, strip: Strip, factor: float) -> str:
    # Of the frames at full size, for averaging hides noise and flicker.
    maps = {
        name: pictures.shrunk(pictures.difference_maps(batch), factor)
        for name, batch in pictures.in_order(strip.frames, document).items()
    }
    heads = [f"change from frame {t + 1} to {t + 2}" for t in range(len(maps["input"]))]
    scale = _data_uri(pictures.png(pictures.color_scale()), "png")
    return (
        f"<h4>What changes from each frame to the next in {escape(strip.content)}</h4>\n"
        f"<p>The absolute difference, mean of RGB, amplified {pictures.AMPLIFICATION} times; one "
        "scale for all. What the input and the truth show too is motion or noise of the camera; "
        "the rest is flicker.</p>\n"
        f'<p class="scale">0 <img src="{scale}" alt="colours from black to pale yellow"> '
        f"{255 // pictures.AMPLIFICATION} or more of 255 grey levels</p>\n"
        + _rows_of(strip.content, heads, maps)
    )


def _rows_of(content: str, heads: Sequence[str], images: dict[str, np.ndarray]) -> str:
    """A row for each contestant; heads: what its pictures are."""
    rows = {
        name: [
            _picture(image, f"{content}: {name}, {head}")
            for image, head in zip(batch, heads, strict=True)
        ]
        for name, batch in images.items()
    }
    return _grid("strip", heads, rows, images["input"].shape[2])


def _grid(kind: str, heads: Sequence[str], rows: dict[str, list[str]], width: int) -> str:
    """A table of pictures, shown as large as there is room for, at most `width` pixels wide."""
    least = len(heads) * min(width, _SMALLEST_SHOWN)
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{picture}</td>" for picture in row)
        + "</tr>"
        for name, row in rows.items()
    )
    return (
        f'<div class="wide"><table class="pictures {kind}" '
        f'style="min-width: {least}px; max-width: calc({len(heads) * (width + 2)}px + 8rem)">'
        f'<thead><tr><td class="corner"></td>{columns}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _picture(image: np.ndarray, alt: str) -> str:
    return (
        f'<button type="button" class="zoom"><img src="{_data_uri(pictures.jpeg(image), "jpeg")}" '
        f'alt="{escape(alt)}"></button>'
    )


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
