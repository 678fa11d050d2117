"""What is computed when, and at which size: between frames of any size and compiled programs."""

import dataclasses
import threading
import time
from collections.abc import Sequence
from fractions import Fraction

import jax
import numpy as np

from jaxstyle.inference.engine import State, Stylizer, initial_state
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.tiles import stylize_in_tiles
from jaxstyle.realtime.letterbox import Size, buckets, fitted, mirrored_into
from jaxstyle.realtime.quality_controller import QualityController

# Images of a folder are as many sizes; rounded up to multiples of this, they share programs.
_IMAGE_GRID = 64
# Larger frames are computed in tiles. A 4K frame still is not.
_MOST_PIXELS = 3840 * 2160


@dataclasses.dataclass(frozen=True)
class Job:
    """Frames on their way through the device.

    result: uint8 [N, H, W, 3], perhaps not there yet. size: (width, height) of the picture in it,
    at the top left. count: how many of the N are wanted. started: by `time.monotonic`.
    """

    result: jax.Array | np.ndarray
    size: Size
    count: int
    started: float

    def pictures(self) -> list[np.ndarray]:
        """Waits for the result: `count` arrays, uint8 [height, width, 3]."""
        width, height = self.size
        pixels = np.asarray(self.result)[: self.count, :height, :width]
        return [np.ascontiguousarray(picture) for picture in pixels]


class Scheduler:
    """Sends frames to the device in sizes that programs are compiled for.

    Frames of a film keep their size; one that is new compiles first. `rounded` shares programs
    among images, whose sizes are many, by rounding these up to multiples of 64 pixels.
    batch: frames of a film that are computed together.

    live: the first frame's size, or `size` if that is smaller, and a few fractions of it are
    compiled in the background, for every style and mix of styles; whatever comes later is shrunk
    into one of them, the largest that holds `fps`. What is not compiled yet is shown once it is.
    watched: styles and mixes of a film are compiled in the background as well.

    `start` is called from one thread, `observe` from one other.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        *,
        live: bool = False,
        watched: bool = False,
        fps: Fraction | float = 24,
        size: Size | None = None,
        rounded: bool = False,
        batch: int = 1,
    ):
        self.batch = 1 if live else batch
        # On an accelerator one frame is uploaded while another computes. A CPU would only make
        # the live one wait.
        self.in_flight = 1 if live and jax.default_backend() == "cpu" else 2
        self._stylizer = stylizer
        self._live = live
        self._watched = live or watched
        self._tiled = not live and stylizer.receptive_radius is not None
        self._fps = fps
        self._size = size
        self._rounded = rounded and stylizer.receptive_radius is not None
        self._stride = max(generator.stride for generator in stylizer.generators)
        self._quality: QualityController | None = None
        self._bucket: Size | None = None
        self._state: State | None = None
        self._shown: Settings | None = None
        self._closed = threading.Event()
        self._preparation: threading.Thread | None = None

    def start(
        self,
        pictures: list[np.ndarray],
        settings: Settings,
        strengths: Sequence[float] | None = None,
    ) -> Job:
        """Begins to stylize consecutive uint8 pictures [H, W, 3] of one size, at most a batch.

        strengths: one for each picture, in place of the one in the settings.
        """
        started = time.monotonic()
        strengths = [settings.strength] * len(pictures) if strengths is None else list(strengths)
        height, width = pictures[0].shape[:2]
        if self._tiled and width * height > _MOST_PIXELS:
            tiled = [
                stylize_in_tiles(self._stylizer, rgb, dataclasses.replace(settings, strength=s))
                for rgb, s in zip(pictures, strengths, strict=True)
            ]
            return Job(np.stack(tiled), (width, height), len(pictures), started)
        bucket = (
            self._live_bucket((width, height)) if self._live else self._rounded_up(width, height)
        )
        boxed = [mirrored_into(rgb, bucket) for rgb in pictures]
        size = boxed[0][1]
        # A last batch that is not full is filled up, as a smaller one would compile anew.
        strengths += strengths[-1:] * (self.batch - len(boxed))
        boxed += boxed[-1:] * (self.batch - len(boxed))
        frames = np.stack([rgb for rgb, _ in boxed])
        settings = self._compiled_settings(frames.shape, settings)
        settings = dataclasses.replace(settings, split=settings.split * size[0] / bucket[0])
        if self._state is None or self._state.frame.shape != frames.shape[1:]:
            self._state = initial_state(*frames.shape[1:3])
        self._state, result = self._stylizer.step(self._state, frames, settings, strengths)
        if self._watched and self._preparation is None:
            sizes = self._buckets if self._live else [bucket]
            # Not a daemon, as this thread may be: Python must not shut down around a compiler.
            self._preparation = threading.Thread(
                target=self._prepare, args=(sizes,), name="prepare", daemon=False
            )
            self._preparation.start()
        return Job(result, size, len(pictures), started)

    def observe(self, job: Job, seconds: float) -> str | None:
        """Takes what a job took; returns a note for people if live frames change size for it."""
        if self._quality is None or job.result.shape[2:0:-1] != self._quality.size:
            return None
        # While programs are compiled beside it, everything takes longer.
        if self._preparation and self._preparation.is_alive():
            return None
        before = self._quality.size
        if not self._quality.observe(seconds):
            return None
        width, height = self._quality.size
        if width * height > before[0] * before[1]:
            return f"there is time again to compute frames at {width}x{height}"
        return f"to hold {float(self._fps):g} fps, frames are now computed at {width}x{height}"

    def close(self) -> None:
        """Stops preparing programs that nobody will use, after the one being compiled."""
        self._closed.set()

    def _rounded_up(self, width: int, height: int) -> Size:
        grid = _IMAGE_GRID if self._rounded else 1
        return -(-width // grid) * grid, -(-height // grid) * grid

    def _live_bucket(self, size: Size) -> Size:
        if self._quality is None or self._bucket is None:
            largest = fitted(size, self._size) if self._size else size
            self._buckets = buckets(largest, self._stride)
            self._quality = QualityController(self._buckets, self._fps)
            self._bucket = self._quality.size
        wanted = self._quality.size
        shape = (1, wanted[1], wanted[0], 3)
        if self._shown and self._stylizer.is_ready(shape, self._shown):
            self._bucket = wanted
        return self._bucket

    def _compiled_settings(self, shape: tuple[int, int, int, int], settings: Settings) -> Settings:
        """The settings, or while their styles are still compiled for this shape the last ones."""
        if not self._stylizer.is_ready(shape, settings):
            if (last := self._shown) is not None:
                settings = dataclasses.replace(
                    settings, style=last.style, mix=last.mix, weights=last.weights
                )
            # Only of the first frame of a size: there is nothing yet to be shown instead.
            self._stylizer.prepare(shape, settings)
        self._shown = settings
        return settings

    def _prepare(self, sizes: list[Size]) -> None:
        """Compiles what controls and quality controller may ask for, the likeliest first."""
        styles = range(len(self._stylizer.styles))
        for width, height in sizes:
            for mix in (0.0, 0.5):
                for style in styles:
                    if self._closed.is_set():
                        return
                    shape = (self.batch, height, width, 3)
                    self._stylizer.prepare(shape, Settings(style=style, mix=mix))
