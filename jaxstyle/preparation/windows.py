"""The sharpest frame of every window of time, so that motion blur does not become style."""

import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class FilmFrame:
    """One frame of a film.

    number: counted from 0. seconds: since the first frame. rgb: uint8 [H, W, 3], without bars.
    medium: the same at no more than 640 pixels. contrast: standard deviation of its luma, 0 to 255.
    """

    number: int
    seconds: float
    rgb: np.ndarray
    medium: np.ndarray
    sharpness: float
    contrast: float


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of uint8 [h, w] (Pech-Pacheco et al. 2000), 0 and up.

    It orders frames of one scene and one size; across scenes it says more of the texture.
    """
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def sharpest_of_windows(
    frames: Iterable[tuple[int, FilmFrame]], every: float
) -> Iterator[tuple[int, FilmFrame]]:
    """The sharpest frame of every window, with its shot, in order.

    frames: all of a film, with the numbers of their shots. every: how long a window is, in seconds.
    Each shot begins a window of its own; what is left at its end is one if it lasts half as long,
    or is all there is. So every shot gives a frame at least.
    """
    window: _Window | None = None
    for shot, frame in frames:
        if window and shot == window.shot and frame.seconds - window.start < every:
            window.add(frame)
            continue
        if window and (window.is_first or frame.seconds - window.start >= every / 2):
            yield window.shot, window.sharpest
        window = _Window(shot, frame, is_first=window is None or shot != window.shot)
    if window and (window.is_first or window.last.seconds - window.start >= every / 2):
        yield window.shot, window.sharpest


class _Window:
    def __init__(self, shot: int, frame: FilmFrame, is_first: bool):
        self.shot, self.start, self.is_first = shot, frame.seconds, is_first
        self.sharpest = self.last = frame

    def add(self, frame: FilmFrame) -> None:
        self.last = frame
        if frame.sharpness > self.sharpest.sharpness:
            self.sharpest = frame
