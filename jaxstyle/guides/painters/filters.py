"""The filters that painters are made of: edge-preserving smoothing, lines, flat tones.

All take and give float32 images [H, W, 3] (or [H, W] where it says so) in [0, 1]. Lengths are
pixels, so that what is painted has the same strokes and lines at every size of the picture.
"""

import functools
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SECTORS = 8
_L0_ROUNDS = 15
_STEEP = 3.0  # the slope of an edge, in units of L* a pixel


class Orientation(NamedTuple):
    """Which way a picture runs at each pixel, float32 [H, W] each.

    x, y: a unit vector along the edges. anisotropy: 0 where there is no direction, to 1 at a line.
    """

    x: np.ndarray
    y: np.ndarray
    anisotropy: np.ndarray


def luma(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] -> [H, W], Rec. 601."""
    return image @ _LUMA


def orientation(image: np.ndarray, sigma: float = 2.0) -> Orientation:
    """From the eigenvectors of the structure tensor, averaged over `sigma` pixels.

    Where a picture is even, its direction is the vertical, without anisotropy.
    Brox et al. 2006; Kyprianidis et al. 2009 paint with it.
    """
    across = cv2.Sobel(image, cv2.CV_32F, 1, 0) / 4
    down = cv2.Sobel(image, cv2.CV_32F, 0, 1) / 4
    products = (across * across, across * down, down * down)
    e, f, g = (cv2.GaussianBlur(p.sum(axis=-1), (0, 0), sigma) for p in products)
    spread = np.sqrt(np.square(e - g) + 4 * np.square(f))
    across_edges = np.arctan2(2 * f, e - g) / 2
    anisotropy = spread / np.maximum(e + g, 1e-9)
    return Orientation(-np.sin(across_edges), np.cos(across_edges), anisotropy)


def bilateral(
    image: np.ndarray, *, times: int, colour: float = 0.09, space: float = 3.0
) -> np.ndarray:
    """Smooths texture away and keeps edges (Tomasi & Manduchi 1998), `times` over.

    colour, space: what counts as near, a standard deviation in [0, 1] and in pixels.
    """
    for _ in range(times):
        image = cv2.bilateralFilter(image, 7, colour, space)
    return image


def flat_regions(image: np.ndarray, *, smoothness: float) -> np.ndarray:
    """Regions of one colour with crisp borders, by as few steps between pixels as will do.

    L0 gradient minimisation (Xu et al. 2011). The picture is taken to repeat beyond its borders.
    smoothness: their lambda, the squared difference that a step must be worth.
    """
    return np.clip(np.asarray(_few_steps(jnp.asarray(image), smoothness)), 0, 1)


@jax.jit
def _few_steps(image: jax.Array, smoothness: float) -> jax.Array:
    height, width = image.shape[:2]
    # The squared magnitudes of forward differences, as they act on frequencies.
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    squares = 4 - 2 * np.cos(2 * np.pi * rows)[:, None] - 2 * np.cos(2 * np.pi * columns)
    steepness = jnp.asarray(squares, image.dtype)[..., None]

    def frequencies(x: jax.Array) -> jax.Array:
        return jnp.fft.rfft2(x, axes=(0, 1))

    wanted = frequencies(image)

    def refine(round_: int, smooth: jax.Array) -> jax.Array:
        stiffness = 2 * smoothness * 2.0**round_
        down, right = (jnp.roll(smooth, -1, axis) - smooth for axis in (0, 1))
        worth = (jnp.square(down) + jnp.square(right)).sum(axis=-1, keepdims=True)
        down, right = (jnp.where(worth < smoothness / stiffness, 0, step) for step in (down, right))
        divergence = jnp.roll(down, 1, 0) - down + jnp.roll(right, 1, 1) - right
        blend = wanted + stiffness * frequencies(divergence)
        solved = blend / (1 + stiffness * steepness).astype(blend.dtype)
        return jnp.fft.irfft2(solved, s=(height, width), axes=(0, 1)).astype(image.dtype)

    return lax.fori_loop(0, _L0_ROUNDS, refine, image)


def smooth_along(
    image: np.ndarray, flow: Orientation, *, sigma: float, length: int = 8
) -> np.ndarray:
    """Averages each pixel with those up to `length` steps along its edge, by a Gaussian of `sigma`.

    Line integral convolution (Cabral & Leedom 1993). image: [H, W] or [H, W, 3].
    """
    height, width = image.shape[:2]
    start_x, start_y = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )

    def at(values, x, y):
        return cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    total, weights = image.copy(), 1.0
    for sign in (1, -1):
        x, y = start_x, start_y
        step_x, step_y = sign * flow.x, sign * flow.y
        for k in range(1, length + 1):
            x, y = x + step_x, y + step_y
            weight = float(np.exp(-k * k / (2 * sigma * sigma)))
            total += weight * at(image, x, y)
            weights += weight
            # A direction has no sign: the path must not turn back.
            next_x, next_y = at(flow.x, x, y), at(flow.y, x, y)
            forward = np.where(next_x * step_x + next_y * step_y < 0, np.float32(-1), np.float32(1))
            step_x, step_y = next_x * forward, next_y * forward
    return total / np.float32(weights)


def lines(
    image: np.ndarray, *, sigma: float, tau: float, threshold: float, sharpness: float
) -> np.ndarray:
    """Pen lines along the edges, 0 on a line and 1 off it: [H, W, 3] -> [H, W].

    A difference of Gaussians of the luma (sigma and 1.6 sigma, the wider one times `tau`), smoothed
    along the edges so that lines are connected, and a soft threshold (XDoG, Winnemoeller et al.
    2012; flow-based, Kang et al. 2007).
    """
    grey = luma(image)
    narrow = cv2.GaussianBlur(grey, (0, 0), sigma)
    wide = cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma)
    response = smooth_along(narrow - tau * wide, orientation(image, 3.0), sigma=4.0)
    below = np.minimum(response - threshold, 0)
    return 1 + np.tanh(sharpness * below)


def flat_tones(values: np.ndarray, count: int, sharpness: float) -> np.ndarray:
    """Values in [0, 1] drawn towards the tones 0, 1/count, ... 1, the steps between them soft.

    Soft quantisation as in Winnemoeller et al. 2006: steps that are hard flicker in a film.
    """
    scaled = values * count
    step = np.floor(scaled)
    within = np.tanh(sharpness * (2 * (scaled - step) - 1)) / np.tanh(sharpness)
    return (step + 0.5 + 0.5 * within) / count


def lively(lab: np.ndarray, *, lightness: float, colour: float, sigma: float) -> np.ndarray:
    """L*a*b* with what tells each pixel from its surroundings (a blur of `sigma`) multiplied.

    lab: float32 [H, W, 3], L* from 0 to 100.
    """
    surroundings = cv2.GaussianBlur(lab, (0, 0), sigma)
    factors = np.array([lightness, colour, colour], np.float32)
    return surroundings + factors * (lab - surroundings)


def contour_strokes(values: np.ndarray, *, sigma: float, period: float, still: float) -> np.ndarray:
    """Waves along the contour lines of a picture, one every `period` units of its values.

    values: float32 [H, W], L* or differences of it; they are blurred by `sigma` pixels first.
    Returns float32 [H, W] in [-1, 1]. So strokes move with what they are on. still: the slope, in
    units a pixel, at which they are half as strong: where less rises or falls they would follow the
    noise. They also fade on edges, where they would be finer than a few pixels: to half at a slope
    of `_STEEP`.
    """
    smooth = cv2.GaussianBlur(values, (0, 0), sigma)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    slope = cv2.GaussianBlur(np.hypot(across, down), (0, 0), sigma)
    strength = 1 / (1 + (still / np.maximum(slope, 1e-6)) ** 2) / (1 + (slope / _STEEP) ** 4)
    return strength * np.sin(2 * np.pi * smooth / period)


def anisotropic_kuwahara(image: np.ndarray, radius: float, sharpness: float = 8.0) -> np.ndarray:
    """Dabs of paint that follow the shapes: the anisotropic Kuwahara filter.

    Each pixel becomes a mean of the colours of eight sectors around it, within an ellipse of about
    `radius` pixels that lies along the edge there; sectors of little variance count for more, by
    the power `sharpness`. Kyprianidis, Kang & Doellner 2009, with the polynomial sectors of
    Kyprianidis et al. 2010.
    """
    flow = orientation(image)
    painted = _kuwahara(jnp.asarray(image), *map(jnp.asarray, flow), radius, sharpness)
    return np.clip(np.asarray(painted), 0, 1)


@functools.partial(jax.jit, static_argnames=("radius", "sharpness"))
def _kuwahara(image, along_x, along_y, anisotropy, radius, sharpness):
    channels = image.transpose(2, 0, 1)
    # The ellipse is at most half as long again as a circle of that radius, and two thirds as wide.
    stretch = 1 + 0.5 * anisotropy[None]
    to_long = jnp.stack([along_x, along_y]) / (radius * stretch)
    to_short = jnp.stack([-along_y, along_x]) * (stretch / radius)
    reach = int(np.ceil(1.5 * radius))
    padded = jnp.pad(channels, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    zeta = 2.0 / radius
    eta = (zeta + np.cos(np.pi / _SECTORS)) / np.sin(np.pi / _SECTORS) ** 2

    def four_sectors(u, v):
        across, along = zeta - eta * u * u, zeta - eta * v * v
        sides = (v + across, along - u, across - v, along + u)
        return [jnp.square(jnp.maximum(side, 0)) for side in sides]

    def visit(sums, offset):
        dy, dx = offset
        u, v = (m[0] * dx + m[1] * dy for m in (to_long, to_short))
        distance = u * u + v * v
        diagonal = four_sectors((u - v) * np.sqrt(0.5), (u + v) * np.sqrt(0.5))
        sectors = jnp.stack([*four_sectors(u, v), *diagonal])
        weight = jnp.where(distance <= 1, jnp.exp(-3.125 * distance), 0)
        sectors *= (weight / jnp.maximum(sectors.sum(axis=0), 1e-12))[None]
        start = (0, reach + dy.astype(int), reach + dx.astype(int))
        colours = lax.dynamic_slice(padded, start, channels.shape)
        squares = jnp.square(colours).sum(axis=0, keepdims=True)
        values = jnp.concatenate([jnp.ones_like(squares), colours, squares])
        return sums + sectors[:, None] * values[None], None

    # Every second pixel, as on a chessboard: half the time, and no difference to be seen.
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    within = np.square(offsets).sum(axis=1) <= reach * reach
    offsets = offsets[within & (offsets.sum(axis=1) % 2 == 0)]
    zeros = jnp.zeros((_SECTORS, 5, *image.shape[:2]), image.dtype)
    sums, _ = lax.scan(visit, zeros, jnp.asarray(offsets, image.dtype))
    means = sums[:, 1:4] / jnp.maximum(sums[:, :1], 1e-12)
    squares = sums[:, 4] / jnp.maximum(sums[:, 0], 1e-12)
    variance = jnp.maximum(squares - jnp.square(means).sum(axis=1), 0)
    # Kyprianidis et al. count in levels of 255.
    weight = 1 / (1 + (255.0 * 255.0 * variance) ** (sharpness / 2))
    painted = (weight[:, None] * means).sum(axis=0) / weight.sum(axis=0, keepdims=True)
    return painted.transpose(1, 2, 0)
