"""How steady a clip is: warp error along its motion, and flicker where nothing moves.

An output is no steadier than its input, whose noise and changes of light it passes on, so both
figures are read relative to those of the input: see `relative`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.evaluation.footage import Motion
from jaxstyle.losses.temporal import warp

_LEAST_VISIBLE = 0.2  # of the picture, or the rest does not stand for the pair
# How much the mean of a window may change, of 255 levels, while its pixels count as standing still.
# Sensor noise of 5 levels averages to less than one there.
_STILL = 3.0
_WINDOW = 5
_LEAST_STILL = 0.01
_SMALLEST_OWN = 0.5 / 255


def warp_error(frames: np.ndarray, motion: Motion) -> float | None:
    """RMS difference between frames and later frames warped back onto them.

    W.-S. Lai, J.-B. Huang, O. Wang, E. Shechtman, E. Yumer, M.-H. Yang, "Learning Blind Video
    Temporal Consistency", ECCV 2018: per pair, the mean of the squared difference over the visible
    pixels and RGB, sampled bilinearly; then the mean over pairs. Here its square root is taken, so
    that the unit is that of a pixel value in [0, 1]. Published figures are often the mean square.

    Pairs of which less than 20 % is visible, as across a cut (of which `film_motion` calls nothing
    visible), are left out.

    It is not 0 for a perfect output. Sampling between pixels blurs, so detail that moves by a part
    of a pixel differs from itself: the true cel frames of scenes, at 256x256, have about 0.027 over
    one frame and 0.040 over eight. Sensor noise s gives between s and sqrt(2) s. Blur lowers the
    figure without being any steadier: by sigma 2, those cel frames get 0.008 and 0.015. Read it
    beside a figure of content.

    Args:
      frames: uint8 [T, H, W, 3], the clip itself or what was made of it, H and W at least 2.
      motion: of the clip; its frames have the same size.

    Returns:
      A figure in [0, 1], lower is steadier; None if no pair is left.

    Raises:
      ValueError: the frames are not uint8 RGB, or do not fit the motion.
    """
    _check_frames(frames)
    if motion.flow.shape[1:3] != frames.shape[1:3]:
        raise ValueError(f"motion of {motion.flow.shape} does not fit frames of {frames.shape}")
    if motion.first and max(motion.first) + motion.span >= len(frames):
        raise ValueError(f"the motion goes beyond the last of {len(frames)} frames")
    errors = [
        float(_squared_difference(frames[t], frames[t + motion.span], flow, visible))
        for t, flow, visible in zip(motion.first, motion.flow, motion.visible, strict=True)
        if visible.mean() >= _LEAST_VISIBLE
    ]
    return float(np.sqrt(np.mean(errors))) if errors else None


@jax.jit
def _squared_difference(
    frame: jax.Array, later: jax.Array, flow: jax.Array, visible: jax.Array
) -> jax.Array:
    """Mean over the visible pixels, of which there is at least one, and RGB: a scalar."""
    warped = warp(later[None].astype(jnp.float32) / 255, flow[None])[0]
    difference = jnp.mean(jnp.square(frame.astype(jnp.float32) / 255 - warped), axis=-1)
    return jnp.sum(jnp.where(visible, difference, 0.0)) / jnp.sum(visible, dtype=jnp.float32)


def flicker(frames: np.ndarray, input_frames: np.ndarray) -> float | None:
    """RMS change from frame to frame where the input stands still.

    A pixel stands still between two frames if in all 5x5 windows that hold it the mean grey value
    of the input changes by less than 3 of 255 levels: noise cancels out in the mean, and a thin
    line that moves within one window leaves another. A flat surface that slides along counts as
    still. The figure is the root of the mean square over all such pixels of all pairs of
    consecutive frames, and RGB: brightness that swings between +a and -a gives 2a.

    Drifts of less than about half a pixel a frame pass as standing still, and move sharp lines: the
    true cel frames of scenes, whose camera hardly ever rests, have about 0.017 at 256x256, and
    0.003 when blurred by sigma 2.

    Args:
      frames: uint8 [T, H, W, 3], what was made of `input_frames`, or these themselves.
      input_frames: the same shape and dtype.

    Returns:
      A figure in [0, 1], lower is steadier; None if less than 1 % of the pixels stand still.

    Raises:
      ValueError: the shapes differ, or the frames are not uint8 RGB.
    """
    _check_frames(frames)
    _check_frames(input_frames)
    if frames.shape != input_frames.shape:
        raise ValueError(f"frames are {frames.shape}, their input is {input_frames.shape}")
    total, still = 0.0, 0.0
    for t in range(len(frames) - 1):
        squares, share = _still_change(*frames[t : t + 2], *input_frames[t : t + 2])
        total += float(squares)
        still += float(share)
    if len(frames) < 2 or still < _LEAST_STILL * (len(frames) - 1):
        return None
    return float(np.sqrt(total / still))


@jax.jit
def _still_change(
    frame: jax.Array, following: jax.Array, input_frame: jax.Array, input_following: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared change of the pixels that stand still, and their share, as means over all pixels."""
    change = jnp.mean(input_following.astype(jnp.float32) - input_frame.astype(jnp.float32), -1)
    largest = _over_windows(jnp.maximum, jnp.abs(_over_windows(jnp.add, change)))
    still = largest < _STILL * _WINDOW**2
    difference = (following.astype(jnp.float32) - frame.astype(jnp.float32)) / 255
    squares = jnp.mean(jnp.square(difference), axis=-1)
    return jnp.mean(jnp.where(still, squares, 0.0)), jnp.mean(still, dtype=jnp.float32)


def _over_windows(combine: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Combines each window of [H, W] into its middle; the border is repeated outwards."""
    for axis, size in enumerate(x.shape):
        padding = [(_WINDOW // 2, _WINDOW // 2) if i == axis else (0, 0) for i in (0, 1)]
        padded = jnp.pad(x, padding, mode="edge")
        x = jax.lax.slice_in_dim(padded, 0, size, axis=axis)
        for k in range(1, _WINDOW):
            x = combine(x, jax.lax.slice_in_dim(padded, k, k + size, axis=axis))
    return x


def relative(value: float | None, own: float | None) -> float | None:
    """A figure of the output as a multiple of the input's own figure: 1 is as steady as the input.

    value, own: the same metric of the output and of the input, at least 0, for pixels in [0, 1].
    Below half a grey level the input's own figure is rounding, and half a level (0.5 / 255) takes
    its place: a drawing that does not move at all, own = 0, gives 0 for an output that does not
    change either, and 2 for one that changes by a grey level. None if either is None.
    """
    if value is None or own is None:
        return None
    return value / max(own, _SMALLEST_OWN)


def _check_frames(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames are uint8 [T, H, W, 3], not {frames.dtype} {frames.shape}")
