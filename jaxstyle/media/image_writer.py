"""Image files, whole or not at all, with what marks them as stylized."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import move_whole
from jaxstyle.media.file_types import SAVE_OPTIONS

_WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
_EXIF_SOFTWARE, _EXIF_DESCRIPTION = 0x0131, 0x010E


def write_image(
    path: Path, rgb: np.ndarray, alpha: np.ndarray | None = None, comment: str = ""
) -> None:
    """Writes uint8 [H, W, 3] to an image file, whole or not at all.

    alpha: uint8 [H, W]; `rgb` is what shows on white. Formats without transparency keep the white.
    comment: stored as PNG text, elsewhere as EXIF description; BMP has room for neither.
    """
    suffix = path.suffix.lower()
    image = Image.fromarray(rgb)
    if alpha is not None and suffix in _WITH_ALPHA:
        image = Image.fromarray(_off_white(rgb, alpha))
    options: dict[str, Any] = dict(SAVE_OPTIONS[suffix])
    if suffix == ".png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", "jaxstyle")
        options["pnginfo"].add_text("Comment", comment)
    elif suffix != ".bmp":
        options["exif"] = Image.Exif()
        options["exif"][_EXIF_SOFTWARE] = "jaxstyle"
        options["exif"][_EXIF_DESCRIPTION] = comment
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(partial, **options)
        move_whole(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _off_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The uint8 RGBA that looks like `rgb` on white: solves rgb = a c + (1 - a) 255 for c."""
    a = alpha[..., None].astype(np.float32) / 255
    color = 255 - (255 - rgb.astype(np.float32)) / np.maximum(a, 1 / 255)
    return np.dstack([np.clip(np.rint(color), 0, 255).astype(np.uint8), alpha])


def writable_name(name: str) -> str:
    """The file's name; .png in place of an extension that `write_image` has no encoder for."""
    path = Path(name)
    return name if path.suffix.lower() in SAVE_OPTIONS else str(path.with_suffix(".png"))
