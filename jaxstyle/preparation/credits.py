"""Title cards and credits: lines of text on an even ground."""

import cv2
import numpy as np

# The ground: levels of 0 to 255 around the commonest, and its least share of the picture.
_GROUND_RANGE, _GROUND_SHARE = 12, 0.7
# What differs from the ground by more is ink: of the greatest difference a quarter, these levels at
# least.
_INK_SHARE, _LEAST_INK = 0.25, 24
# A letter: least height and area in pixels, greatest height as a share of the picture's.
_LEAST_HEIGHT, _LEAST_AREA, _GREATEST_HEIGHT = 3, 5, 0.25
# How letters of a line differ at most in height, lie apart in heights; how many make text.
_HEIGHT_RATIO, _GAP, _FEWEST = 2.5, 2.0, 5
# The least share of the ink that is in lines.
_TEXT_SHARE = 0.75
# More pieces than this are texture, and slow to compare.
_MOST = 2000


def is_text_frame(grey: np.ndarray) -> bool:
    """Whether a frame, uint8 [h, w], is a title or a page of credits; 640 pixels wide is plenty.

    A heuristic without a trained network: at least 70 % of the picture is a ground of one
    brightness, dark or light; what stands out from it does so sharply, as ink does and a lit scene
    at night does not; and at least three quarters of that are five or more pieces of a letter's
    size that stand beside one of similar height. It finds titles, intertitles and rolling credits
    on an even ground, in any alphabet whose letters or words stand apart. It does not find text
    over moving pictures or a patterned ground, credits beside a picture, words of fewer than five
    letters, script that joins a line into one piece, or letters taller than a quarter of the
    picture. Rows of like lights in the dark can be taken for text.
    """
    histogram = np.bincount(grey.ravel(), minlength=256)
    ground = int(np.argmax(np.convolve(histogram, np.ones(5, int), "same")))
    difference = cv2.absdiff(grey, np.full_like(grey, ground))
    if (difference <= _GROUND_RANGE).mean() < _GROUND_SHARE:
        return False
    greatest = np.quantile(difference, 0.999)
    ink = (difference > max(_LEAST_INK, _INK_SHARE * greatest)).astype(np.uint8)
    between = (difference > _GROUND_RANGE) & (ink == 0)
    if between.sum() > ink.sum():
        return False
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    if not _FEWEST < count <= _MOST:
        return False
    pieces = stats[1:]  # 0 is the ground
    height, area = pieces[:, cv2.CC_STAT_HEIGHT], pieces[:, cv2.CC_STAT_AREA]
    letters = (height >= _LEAST_HEIGHT) & (area >= _LEAST_AREA)
    letters &= height <= _GREATEST_HEIGHT * len(grey)
    in_lines = _beside_another(pieces[letters])
    text = area[letters][in_lines].sum()
    return bool(in_lines.sum() >= _FEWEST and text >= _TEXT_SHARE * area.sum())


def _beside_another(boxes: np.ndarray) -> np.ndarray:
    """Which boxes, int [N, 4 and more] of left, top, width, height, stand in a line: bool [N]."""
    left, top, width, height = (boxes[:, i].astype(np.float32) for i in range(4))
    right, bottom = left + width, top + height

    def pairs(combine, values):
        return combine(values[:, None], values[None, :])

    lower, taller = pairs(np.minimum, height), pairs(np.maximum, height)
    shared = pairs(np.minimum, bottom) - pairs(np.maximum, top)
    gap = pairs(np.maximum, left) - pairs(np.minimum, right)
    near = (shared >= lower / 2) & (gap <= _GAP * taller) & (taller <= _HEIGHT_RATIO * lower)
    np.fill_diagonal(near, False)
    return near.any(axis=1)
