"""The pictures: contact sheets, strips of consecutive frames, and maps of what changes in them."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxstyle.media.contact_sheet import contact_sheet

# A change of 255 / 8 = 32 grey levels is the brightest: flicker of a few levels shows, moving edges
# do not matter.
AMPLIFICATION = 8
_COLOR_MAP = "magma"
_CAPTION_HEIGHT, _CAPTION_SIZE = 28, 16  # pixels


@dataclasses.dataclass(frozen=True)
class Strip:
    """Pictures of one content by contestant, the input as "input", the true frames as "truth".

    frames: uint8 [T, H, W, 3] each, consecutive. pictures: uint8 [K, H, W, 3] each, spread over the
    content. Raises ValueError if the input is missing, or shapes or dtypes differ.
    """

    content: str
    frames: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]

    def __post_init__(self):
        for images in (self.frames, self.pictures):
            if "input" not in images:
                raise ValueError(f"the strip of {self.content} lacks the input")
            for name, batch in images.items():
                if batch.dtype != np.uint8 or batch.shape != images["input"].shape:
                    raise ValueError(
                        f"the strip of {self.content} needs uint8 {images['input'].shape} of each "
                        f"contestant, got {batch.dtype} {batch.shape} of {name}"
                    )


def in_order(images: Mapping[str, np.ndarray], document: dict) -> dict[str, np.ndarray]:
    """The input, the contestants in their order, the truth."""
    contestants = (contestant["name"] for contestant in document["contestants"])
    names = dict.fromkeys(["input", *(n for n in contestants if n != "truth"), "truth"])
    return {name: images[name] for name in names if name in images}


def difference_maps(frames: np.ndarray) -> np.ndarray:
    """What changes from each frame to the next, in colours from black (nothing) to pale yellow.

    uint8 [T, H, W, 3] -> uint8 [T - 1, H, W, 3]. The absolute difference, averaged over RGB, times
    `AMPLIFICATION`: the colour map ends at 255.
    """
    change = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(-1)
    return _colored(change * AMPLIFICATION / 255)


def color_scale(height: int = 16) -> np.ndarray:
    """The colours of `difference_maps` from none to most, uint8 [height, 256, 3]."""
    return np.repeat(_colored(np.linspace(0, 1, 256))[None], height, axis=0)


def _colored(values: np.ndarray) -> np.ndarray:
    """[...] in 0..1, what is above clipped -> uint8 [..., 3]."""
    return matplotlib.colormaps[_COLOR_MAP](np.minimum(values, 1.0), bytes=True)[..., :3]


def sheet(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """A contact sheet with a name above each column, one row per picture.

    columns: uint8 [K, H, W, 3] each, of one shape. Returns uint8 [H', W', 3].
    """
    picture = contact_sheet(list(columns.values()))
    width = next(iter(columns.values())).shape[2]
    step = (picture.shape[1] - width) // max(1, len(columns) - 1)
    captions = Image.new("RGB", (picture.shape[1], _CAPTION_HEIGHT), "white")
    for i, name in enumerate(columns):
        captions.paste(_caption(name, width), (i * step, 0))
    return np.concatenate([np.asarray(captions), picture])


def rows(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """A row of pictures for each contestant, its name above: uint8 [H', W', 3].

    images: uint8 [T, H, W, 3] each, of one shape.
    """
    pieces = []
    for name, batch in images.items():
        row = contact_sheet([image[None] for image in batch])
        pieces += [np.asarray(_caption(name, row.shape[1])), row]
    return np.concatenate(pieces)


def _caption(name: str, width: int) -> Image.Image:
    """A name in black on white, cut off where it does not fit."""
    # Matplotlib brings this font along: the plots' own.
    font = ImageFont.truetype(
        Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _CAPTION_SIZE
    )
    while len(name) > 1 and font.getlength(name) > width:
        name = name.removesuffix("…")[:-1] + "…"
    caption = Image.new("RGB", (width, _CAPTION_HEIGHT), "white")
    ImageDraw.Draw(caption).text((0, _CAPTION_HEIGHT / 2), name, "black", font, anchor="lm")
    return caption


def shrunk(images: np.ndarray, factor: float) -> np.ndarray:
    """Makes uint8 [N, H, W, 3] smaller by a factor of at most 1, averaging over areas."""
    if factor >= 1:
        return images
    size = [max(1, round(side * factor)) for side in (images.shape[2], images.shape[1])]
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])


def jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """Encodes uint8 [H, W, 3] as JPEG, with colours at full resolution: flat paint shows it."""
    return _encoded(image, format="JPEG", quality=quality, subsampling=0)


def png(image: np.ndarray) -> bytes:
    """Encodes uint8 [H, W, 3] as PNG."""
    return _encoded(image, format="PNG")


def _encoded(image: np.ndarray, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, **options)
    return data.getvalue()


def pixels(strips: Sequence[Strip]) -> int:
    """How many pixels all pictures and difference maps have together."""
    areas = 0
    for strip in strips:
        for batch in strip.pictures.values():
            areas += batch[..., 0].size
        for batch in strip.frames.values():
            count, height, width, _ = batch.shape
            areas += (2 * count - 1) * height * width if count > 1 else 0
    return areas
