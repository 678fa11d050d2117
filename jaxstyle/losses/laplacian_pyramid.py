"""The Laplacian pyramid of images (Burt and Adelson, 1983): what each scale adds to the coarser."""

import jax
import jax.numpy as jnp

COARSEST_SIZE = 16
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def _downsample(x: jax.Array) -> jax.Array:
    """Binomial filter, then every second pixel: [N, H, W, C] -> [N, ceil(H/2), ceil(W/2), C]."""
    for axis in (1, 2):
        size = x.shape[axis]
        half = (size + 1) // 2
        padding = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.pad(x, padding, mode="reflect")
        first, *others = (
            weight * jax.lax.slice_in_dim(padded, k, k + 2 * half - 1, stride=2, axis=axis)
            for k, weight in enumerate(BINOMIAL)
        )
        x = sum(others, first)
    return x


def _upsample(x: jax.Array, height: int, width: int) -> jax.Array:
    """Zero insertion, then twice the binomial filter along each axis, cropped to the given size.

    Written without the zeros: even output pixels see the taps 1 6 1, odd ones 4 4 (over 8).
    Mirroring the zero-inserted signal mirrors the samples on the left and repeats the last one on
    the right.
    """
    for axis, size in ((1, height), (2, width)):
        samples = x.shape[axis]
        second, last = (jax.lax.index_in_dim(x, i, axis) for i in (1, samples - 1))
        all_but_first = jax.lax.slice_in_dim(x, 1, samples, axis=axis)
        all_but_last = jax.lax.slice_in_dim(x, 0, samples - 1, axis=axis)
        previous = jnp.concatenate([second, all_but_last], axis)
        following = jnp.concatenate([all_but_first, last], axis)
        even = (previous + 6 * x + following) / 8
        odd = (x + following) / 2
        interleaved = jnp.stack([even, odd], axis=axis + 1)
        shape = [*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :]]
        x = jax.lax.slice_in_dim(interleaved.reshape(shape), 0, size, axis=axis)
    return x


def laplacian_pyramid(images: jax.Array) -> list[jax.Array]:
    """[N, H, W, C] -> levels from fine to coarse, each half the size of the one before.

    Every level holds the band that the next coarser one lacks, except the last: that is the blurred
    image itself, colours included. It stops before the shorter side would fall below 16.
    """
    levels = []
    while (min(images.shape[1:3]) + 1) // 2 >= COARSEST_SIZE:
        coarse = _downsample(images)
        levels.append(images - _upsample(coarse, *images.shape[1:3]))
        images = coarse
    return [*levels, images]
