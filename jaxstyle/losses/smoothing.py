"""Edge-preserving smoothing on the device: flat tones out of textured images, in batches.

AnimeGANv3 trains against smoothed versions of its own output, and computes two of the three on
the CPU inside every step, image by image. Here they are pure functions that a training step
contains. All take and give float32 [N, H, W, C].
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.losses.color import rgb_to_lab

# Sums of colours over a mask: accelerators would round the colours to half precision.
_einsum = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _box_sum(x: jax.Array, radius: int) -> jax.Array:
    """Sum over the (2 radius + 1)^2 window around each pixel, zero outside the image."""
    n, h, w, c = x.shape
    window = range(2 * radius + 1)
    # The barriers keep XLA from computing x, and the sums of rows, anew for each use in a window.
    x = lax.optimization_barrier(x.reshape(n, h, w * c))
    x = jnp.pad(x, ((0, 0), (radius, radius), (radius * c, radius * c)))
    x = lax.optimization_barrier(sum(x[:, i : i + h] for i in window))
    x = lax.optimization_barrier(sum(x[:, :, i * c : (i + w) * c] for i in window))
    return x.reshape(n, h, w, c)


# A window contains whatever has it in its own window: the sum is its own transpose. The derived
# one would be a sum of padded copies, ten times as slow.
_box_sum.defvjp(
    lambda x, radius: (_box_sum(x, radius), None),
    lambda radius, _, gradient: (_box_sum(gradient, radius),),
)


def box_mean(x: jax.Array, radius: int) -> jax.Array:
    """Mean of the (2 `radius` + 1)^2 window around each pixel of x [N, H, W, C].

    Windows are smaller at the border, where they would reach beyond the image.
    """
    count = _box_sum(jnp.ones((1, *x.shape[1:3], 1), x.dtype), radius)
    return _box_sum(x, radius) / count


def guided_filter(guide: jax.Array, x: jax.Array, radius: int, epsilon: float) -> jax.Array:
    """Smooths x where the guide is flat, and keeps the edges of the guide (He et al. 2010).

    guide, x: [N, H, W, C], or one of them with one channel; each channel of x is in every window
    of (2 `radius` + 1)^2 pixels a linear function of that channel of the guide. `epsilon` is the
    variance of the guide that counts as flat, so for images in [-1, 1] four times what it is for
    [0, 1]. AnimeGANv3: the support tail's image guides itself, radius 2, 0.01 in [0, 1].
    Differentiable. The time grows with the radius; it is meant for small ones.
    """
    mean = functools.partial(box_mean, radius=radius)
    guide_mean, x_mean = mean(guide), mean(x)
    covariance = mean(guide * x) - guide_mean * x_mean
    variance = mean(guide * guide) - guide_mean * guide_mean
    slope = covariance / (variance + epsilon)
    offset = x_mean - slope * guide_mean
    return mean(slope) * guide + mean(offset)


def l0_smooth(x: jax.Array, weight: float = 0.005, kappa: float = 2.0) -> jax.Array:
    """Removes all but the strongest steps between neighbours: L0 smoothing (Xu et al. 2011).

    x: [N, H, W, C] in [-1, 1]; returns the same range. Minimises the squared difference to x plus
    `weight` times the number of pixels with a non-zero gradient in any channel, half-quadratically:
    gradients that are too small are cleared, the image nearest to x with such gradients is solved
    for by FFT (so the image wraps around), and again with the gradients' weight times `kappa`,
    from 2 `weight` to 1e5: 24 times for the defaults. `weight` is that for images in [0, 1]:
    AnimeGANv3 has 0.005; 0.02 smoothes strongly. A larger `kappa` is faster and coarser.

    The result is a target: no gradient flows through it.
    """
    # Rows and columns last: the transforms are faster so.
    x = lax.stop_gradient(x).transpose(0, 3, 1, 2) / 2
    h, w = x.shape[2:]
    # |transfer function|^2 of the two difference operators.
    rows = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(h))
    columns = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(w))
    power = jnp.asarray((rows[:, None] + columns[None, :])[None, None], x.dtype)

    def iteration(i, smooth):
        beta = 2 * weight * kappa ** i.astype(x.dtype)
        right = jnp.roll(smooth, -1, axis=3) - smooth
        down = jnp.roll(smooth, -1, axis=2) - smooth
        strength = (jnp.square(right) + jnp.square(down)).sum(axis=1, keepdims=True)
        cleared = strength < weight / beta
        right, down = jnp.where(cleared, right, 0), jnp.where(cleared, down, 0)
        transposed = jnp.roll(right, 1, axis=3) - right + jnp.roll(down, 1, axis=2) - down
        # Solved for the change of the image, not for the image: what is cleared gets smaller as
        # beta grows, so their product stays within the precision of float32.
        residual = jnp.fft.rfft2(x - smooth - beta * transposed)
        change = residual / (1 + beta * power).astype(residual.dtype)
        return smooth + jnp.fft.irfft2(change, s=(h, w))

    count = math.ceil(math.log(1e5 / (2 * weight), kappa))
    smooth = lax.fori_loop(0, count, iteration, x).transpose(0, 2, 3, 1)
    return jnp.clip(2 * smooth, -1, 1)


def superpixels(
    x: jax.Array, spacing: int = 16, compactness: float = 10.0, iterations: int = 5
) -> jax.Array:
    """Paints each region of similar neighbouring pixels in its mean colour (SLIC).

    x: [N, H, W, 3] in [-1, 1], H and W multiples of `spacing`; returns the same. Achanta et al.
    (2012): regions grow from a grid of seeds `spacing` pixels apart, one every spacing^2 pixels.
    Each pixel joins one of the nine seeds around it, the nearest by L*a*b* colour and by place, a
    distance of `spacing` pixels being as far as `compactness` units of colour; each seed moves to
    the mean of its pixels; `iterations` times. Regions may be disconnected: their stray pixels
    are not reassigned. (AnimeGANv3's segments come from Felzenszwalb & Huttenlocher's graph, whose
    sequential merging does not suit a device; SLIC is the alternative in its code.)

    The result is a target: no gradient flows through it. Raises ValueError for sizes that are no
    multiples.
    """
    n, h, w, c = x.shape
    if h % spacing or w % spacing:
        raise ValueError(f"superpixels of spacing {spacing} do not divide an image of {h}x{w}")
    grid = (n, h // spacing, w // spacing)

    def to_cells(image):
        """[N, H, W, D] -> [N, H/spacing, W/spacing, D, spacing^2]: pixels last, which is fast."""
        d = image.shape[-1]
        tiles = image.reshape(n, grid[1], spacing, grid[2], spacing, d).transpose(0, 1, 3, 5, 2, 4)
        return tiles.reshape(*grid, d, spacing * spacing)

    x = lax.stop_gradient(x)
    position = np.moveaxis(np.mgrid[:h, :w], 0, -1) * np.float32(compactness / spacing)
    place = jnp.broadcast_to(jnp.asarray(position, x.dtype), (n, h, w, 2))
    features = to_cells(jnp.concatenate([rgb_to_lab((x + 1) / 2), place], axis=-1))
    colors = to_cells(x)

    def assign(seeds):
        candidates = _neighbours(seeds, outside=1e4)
        nearest = jnp.full(features.shape[:3] + features.shape[4:], jnp.inf, x.dtype)
        index = jnp.zeros(nearest.shape, jnp.int32)
        # One by one, so that the distances to all nine are never in memory.
        for i in range(9):
            distance = jnp.square(features - candidates[..., i, :, None]).sum(axis=-2)
            index = jnp.where(distance < nearest, i, index)
            nearest = jnp.minimum(distance, nearest)
        return jax.nn.one_hot(index, 9, dtype=x.dtype, axis=-2)

    def region_means(assignment, values):
        sums = _gather_neighbours(_einsum("nyxkp,nyxdp->nyxkd", assignment, values))
        counts = _gather_neighbours(assignment.sum(axis=-1)[..., None])
        return sums / jnp.maximum(counts, 1)

    seeds = features.mean(axis=-1)
    seeds = lax.fori_loop(0, iterations, lambda _, s: region_means(assign(s), features), seeds)
    assignment = assign(seeds)
    means = _neighbours(region_means(assignment, colors), outside=0.0)
    painted = _einsum("nyxkp,nyxkd->nyxdp", assignment, means)
    tiles = painted.reshape(*grid, c, spacing, spacing).transpose(0, 1, 4, 2, 5, 3)
    return tiles.reshape(n, h, w, c)


def _neighbours(cells: jax.Array, outside: float) -> jax.Array:
    """The 3x3 cells around each, row by row: [N, Y, X, D] -> [N, Y, X, 9, D]."""
    _, height, width, _ = cells.shape
    padded = jnp.pad(cells, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=outside)
    return jnp.stack(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3
    )


def _gather_neighbours(values: jax.Array) -> jax.Array:
    """Sums what the cells around each give to it: the transpose of `_neighbours`.

    values: [N, Y, X, 9, D], what a cell gives to each of the 3x3 around it. Returns [N, Y, X, D].
    """
    _, height, width, _, _ = values.shape
    padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0)))
    # The neighbour at (i, j) sees this cell at the opposite place.
    first, *others = (
        padded[:, i : i + height, j : j + width, 8 - (3 * i + j)]
        for i in range(3)
        for j in range(3)
    )
    return sum(others, first)
