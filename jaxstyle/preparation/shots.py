"""Shots of a film, between its cuts: PySceneDetect on frames that are decoded here."""

import collections
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

# Cuts that follow closer than this are flashes and camera shake, in seconds.
_SHORTEST_SHOT = 0.4


def split_into_shots[T](
    frames: Iterable[T], image_of: Callable[[T], np.ndarray], rate: Fraction
) -> Iterator[tuple[int, T]]:
    """Passes frames on in order, each with the number of its shot, counted from 0.

    Cuts are found by PySceneDetect's `AdaptiveDetector`: the mean change in hue, saturation and
    brightness between neighbours stands out from the frames around it, which a moving camera does
    not. Dissolves are not cuts: the shots on both sides count as one.

    frames: consecutive ones. image_of: gives the picture of one, uint8 RGB [h, w, 3], all of
    one size; 320 pixels wide is plenty. rate: frames per second. A few frames are held back
    until it is known whether they begin a shot.
    """
    detector = AdaptiveDetector(min_scene_len=max(1, round(_SHORTEST_SHOT * rate)))
    waiting: collections.deque[tuple[int, T]] = collections.deque()
    cuts: set[int] = set()
    shot = 0
    for number, frame in enumerate(frames):
        waiting.append((number, frame))
        bgr = cv2.cvtColor(image_of(frame), cv2.COLOR_RGB2BGR)
        found = detector.process_frame(FrameTimecode(number, rate), bgr)
        cuts.update(timecode.frame_num for timecode in found)
        if len(waiting) > detector.event_buffer_length:
            decided, frame = waiting.popleft()
            shot += decided in cuts
            yield shot, frame
    for number, frame in waiting:
        shot += number in cuts
        yield shot, frame
