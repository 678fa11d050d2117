"""Images from files: any format and mode that Pillow reads, as uint8 RGB."""

import abc
import glob
import io
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from jaxstyle.errors import UserError

IMAGE_EXTENSIONS = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

logger = logging.getLogger(__name__)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit and float greys to 8 bits; Pillow's own conversion would clip them at 255."""
    if image.mode.startswith("I"):
        # "I" is 32 bits wide, but holds the 16 bits of the PNG or TIFF it came from.
        grey = np.clip(np.asarray(image, np.int64), 0, 65535)
        return Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "F":
        grey = np.nan_to_num(np.clip(np.asarray(image), 0.0, 1.0))
        return Image.fromarray(np.round(grey * 255).astype(np.uint8))
    return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Converts from the embedded ICC profile, so that a Display P3 photo keeps its colours."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    # Little CMS knows alpha only beside RGB, and no palettes.
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGBA" if image.mode == "RGBA" else "RGB",
        )
    # A broken profile, or one for other channels than the image has: viewers ignore those, too.
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image)


def read_image(source: str | os.PathLike | BinaryIO) -> np.ndarray:
    """Decodes one image file to [H, W, 3] uint8 RGB.

    The orientation that cameras write into EXIF is applied; the colours are sRGB, an embedded ICC
    profile is applied; transparent parts become white; grey, palette and CMYK images become RGB;
    16-bit greys are scaled to 8 bits, float greys are taken to lie in [0, 1]. Of an animation, the
    first frame.

    Args:
      source: a path, or a binary file object.

    Raises:
      UserError: there is no such file, or it does not decode.
    """
    name = source if isinstance(source, str | os.PathLike) else "image data"
    try:
        with Image.open(source) as image:
            upright = _to_srgb(_to_8_bit(ImageOps.exif_transpose(image)))
            if upright.has_transparency_data:
                upright = _on_white(upright)
            return np.array(upright.convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; check the path") from None
    # Pillow's decoders answer broken bytes with almost any exception.
    except Exception as error:
        raise UserError(
            f"{name}: not a readable image ({type(error).__name__}: {error}); replace or remove it"
        ) from error


def find_files(where: str | os.PathLike, extensions: frozenset[str]) -> list[Path]:
    """Sorted files below a folder (recursively) or matching a glob (`**` descends into folders).

    Only files with one of `extensions` (lower case, with the dot) count; hidden files do not, as
    archives and file managers leave such ones beside the real images.
    """
    where = os.path.expanduser(where)
    if os.path.isfile(where):
        paths = [where]  # a name may hold the special characters of globs: "clip [1080p].mp4"
    elif os.path.isdir(where):
        paths = [os.path.join(root, name) for root, _, names in os.walk(where) for name in names]
    else:
        paths = glob.glob(where, recursive=True)
    return sorted(
        path
        for path in map(Path, paths)
        if path.suffix.lower() in extensions and not path.name.startswith(".") and path.is_file()
    )


def _opens(path: Path) -> bool:
    """Whether the header is sound. Cheap: pixels are not decoded, so later damage stays hidden."""
    try:
        with Image.open(path) as image:
            image.verify()
    except Exception:  # as in read_image
        return False
    return True


class ImageSequence(abc.ABC):
    """Images by their number, and so one after the other. No slices, as a `Sequence` has them."""

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __getitem__(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8 RGB; below 0 counted from the end. IndexError past the end."""

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.__getitem__, range(len(self)))


class ImageFiles(ImageSequence):
    """The images of a folder (with its subfolders) or a glob, in sorted order.

    `images[i]` is [H, W, 3] uint8 RGB, sizes may differ. Files whose header is broken are left out
    and reported once. Damage that shows only on decoding must not end a long training run: the next
    file that decodes stands in, always the same one, and each such file is reported once.

    Attributes:
      paths: the files, one per index.
      skipped: the files that were left out.

    Raises:
      UserError: no readable image is there.
    """

    def __init__(self, where: str | os.PathLike):
        found = find_files(where, IMAGE_EXTENSIONS)
        # Threads hide the latency of network disks; reading headers holds the GIL only briefly.
        with ThreadPoolExecutor(16) as pool:
            sound = list(pool.map(_opens, found))
        self.paths = [path for path, ok in zip(found, sound, strict=True) if ok]
        self.skipped = [path for path, ok in zip(found, sound, strict=True) if not ok]
        self._reported: set[int] = set()
        if not self.paths:
            raise UserError(
                f"{where}: no readable image there ({len(found)} files with an image extension); "
                f"expected a folder or a glob of {', '.join(sorted(IMAGE_EXTENSIONS))}"
            )
        if self.skipped:
            logger.warning(
                "%s: skipped %d broken of %d images, the first: %s",
                where,
                len(self.skipped),
                len(found),
                self.skipped[0],
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        for step in range(len(self)):
            candidate = (index + step) % len(self)
            try:
                return read_image(self.paths[candidate])
            except UserError as error:
                if candidate not in self._reported:
                    self._reported.add(candidate)
                    logger.warning("%s; the next image stands in for it", error)
        raise UserError(f"{self.paths[0].parent}: none of its {len(self)} images decodes any more")
