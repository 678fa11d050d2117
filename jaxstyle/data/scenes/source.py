"""Frames of scenes by index: the training data."""

import os
from pathlib import Path

import numpy as np

from jaxstyle.data.scenes.cache import fill
from jaxstyle.data.scenes.shot import RENDERINGS, VERSION, check, frame
from jaxstyle.errors import UserError
from jaxstyle.media.images import ImageSequence


class Scenes(ImageSequence):
    """Random-access source of single frames: frame i shows the scene of seed first_seed + i.

    `scenes[i]` is uint8 [H, W, 3], RGB. Without `cache_dir` every access renders. With it, all
    frames are rendered once into one .npy file there, which is memory-mapped from then on; a
    pickled `Scenes` carries the path, not the pixels.

    rendering: "photo" or "cel". size: (H, W) in pixels.
    Raises UserError for an unknown rendering, count < 1, first_seed < 0, a size that is too small
    or a cache that cannot be read.
    """

    def __init__(
        self,
        rendering: str,
        count: int,
        size: tuple[int, int] = (256, 256),
        first_seed: int = 0,
        cache_dir: str | os.PathLike | None = None,
    ):
        if rendering not in RENDERINGS:
            known = " or ".join(RENDERINGS)
            raise UserError(f"scenes: unknown rendering {rendering!r}; give {known}")
        check(first_seed, count, size)
        height, width = size
        self.rendering, self.count, self.first_seed = rendering, count, first_seed
        self.size = (height, width)
        self.cache: Path | None = None
        self._frames: np.ndarray | None = None
        if cache_dir is not None:
            name = f"scenes-v{VERSION}-{rendering}-{count}x{height}x{width}-from{first_seed}.npy"
            self.cache = Path(cache_dir) / name
            if not self.cache.exists():
                fill(self.cache, rendering, count, self.size, first_seed)
            self._frames = self._open_cache(self.cache)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(self.count)[i]  # IndexError past the end; counts from the end below 0
        if self._frames is not None:
            return np.array(self._frames[i])
        return frame(self.rendering, self.first_seed + i, self.size)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_frames": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self.cache is not None:
            self._frames = self._open_cache(self.cache)

    def __repr__(self) -> str:
        height, width = self.size
        return (
            f"Scenes({self.rendering!r}, {self.count}, ({height}, {width}), "
            f"first_seed={self.first_seed})"
        )

    def _open_cache(self, path: Path) -> np.ndarray:
        try:
            frames = np.load(path, mmap_mode="r")
            if frames.shape != (self.count, *self.size, 3) or frames.dtype != np.uint8:
                raise ValueError("it holds other frames")
        except (OSError, ValueError) as error:
            raise UserError(f"scenes: cannot read the cache {path}: {error}; delete it") from error
        return frames
