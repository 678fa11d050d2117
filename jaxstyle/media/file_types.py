"""The kinds of files that jaxstyle writes, by extension, and how they are encoded."""

from typing import Any

# FFmpeg's muxer, encoder and its options. The rates are near-transparent, and fast enough not to be
# what a generator waits for.
_X264 = ("libx264", {"crf": "17", "preset": "veryfast"})
_VP9 = ("libvpx-vp9", {"crf": "22", "b": "0", "deadline": "realtime", "cpu-used": "5"})
CONTAINERS = {
    ".mp4": ("mp4", *_X264),
    ".m4v": ("mp4", *_X264),
    ".mov": ("mov", *_X264),
    ".mkv": ("matroska", *_X264),
    ".webm": ("webm", *_VP9),
}

# How Pillow is told to save. At these qualities the style's edges stay clean.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
    ".bmp": {},
}
