"""Whether a generator that computes at a quarter of the resolution leaves a grid in its pictures.

A pattern that repeats every four pixels has its power at the frequencies 1/4 and 1/2 of a cycle per
pixel, across and down. Pictures have no more power there than at the frequencies beside them.
"""

import numpy as np

_PERIOD = 4
# Bins of the spectrum that are compared with one of the lattice: beyond what the window spreads a
# single frequency over, and near enough to be as strong in a picture without a grid.
_NEAREST, _FARTHEST = 3, 8
SMALLEST_SIDE = 64


def grid_power(frames: np.ndarray) -> float:
    """The power at the lattice's frequencies, as a multiple of that beside them; 1 without a grid.

    frames: uint8 [N, H, W, 3], H and W at least 64. The geometric mean over the frequencies, of
    which each is compared with those on either side of it along its own row or column of the
    spectrum, for pictures have more level and upright edges than slanted ones. Raises ValueError
    for other shapes.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or min(frames.shape[1:3]) < SMALLEST_SIDE:
        raise ValueError(
            f"grid_power needs [N, H, W, 3] of {SMALLEST_SIDE} pixels or more, got {frames.shape}"
        )
    height, width = (side // _PERIOD * _PERIOD for side in frames.shape[1:3])
    luma = frames[:, :height, :width] @ np.array([0.299, 0.587, 0.114])
    window = np.hanning(height)[:, None] * np.hanning(width)
    centred = luma - luma.mean(axis=(1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(centred * window))).mean(axis=0)
    # Of a flat picture there is nothing but rounding.
    power += 1e-9 * np.square(window).sum()
    rows, columns = (side // _PERIOD * np.arange(_PERIOD) for side in (height, width))
    offsets = np.arange(_NEAREST, _FARTHEST + 1)
    offsets = np.concatenate([-offsets, offsets])
    ratios = []
    for row in rows:
        for column in columns:
            if row:
                ratios.append(power[row, column] / power[(row + offsets) % height, column].mean())
            if column:
                ratios.append(power[row, column] / power[row, (column + offsets) % width].mean())
    return float(np.exp(np.mean(np.log(ratios))))
