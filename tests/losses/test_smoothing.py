"""Smoothing against plain NumPy in float64, and on images whose right answer is known."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.color import rgb_to_lab
from jaxstyle.losses.smoothing import guided_filter, l0_smooth, superpixels


def images(*shape):
    return jax.random.uniform(jax.random.key(0), shape, minval=-1, maxval=1)


def noisy_regions(height, width, noise):
    """Four flat colours that meet off the grid of seeds, and the same with noise."""
    row, column = np.mgrid[:height, :width]
    region = (column > 0.4 * width + 0.3 * row).astype(int) + 2 * (row > 0.55 * height)
    colors = np.float32([[-0.8, -0.2, 0.6], [0.7, 0.5, -0.6], [0.1, -0.7, -0.5], [0.8, 0.8, 0.9]])
    flat = colors[region][None]
    random = np.random.default_rng(0).normal(0, noise, flat.shape).astype(np.float32)
    return jnp.asarray(flat), jnp.asarray(np.clip(flat + random, -1, 1))


def box_mean(x, radius):
    result = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            rows = slice(max(i - radius, 0), i + radius + 1)
            columns = slice(max(j - radius, 0), j + radius + 1)
            result[i, j] = x[rows, columns].mean((0, 1))
    return result


def reference_guided_filter(guide, x, radius, epsilon):
    """The linear coefficients of He et al. (2010), equations 5, 6 and 8."""
    covariance = box_mean(guide * x, radius) - box_mean(guide, radius) * box_mean(x, radius)
    variance = box_mean(guide**2, radius) - box_mean(guide, radius) ** 2
    a = covariance / (variance + epsilon)
    b = box_mean(x, radius) - a * box_mean(guide, radius)
    return box_mean(a, radius) * guide + box_mean(b, radius)


@pytest.mark.slow
@pytest.mark.parametrize("guide_channels", [1, 3])
def test_guided_filter_equals_the_reference(guide_channels):
    x, guide = images(2, 13, 17, 3), images(2, 13, 17, guide_channels) ** 2
    result = guided_filter(guide, x, 2, 0.04)
    for i in range(2):
        expected = reference_guided_filter(
            np.asarray(guide[i], np.float64), np.asarray(x[i], np.float64), 2, 0.04
        )
        np.testing.assert_allclose(result[i], expected, atol=1e-5)


@pytest.mark.slow
def test_guided_filter_has_the_gradient_of_its_formula():
    x, direction = images(1, 8, 9, 3), jax.random.normal(jax.random.key(1), (1, 8, 9, 3))

    def loss(x):
        return jnp.sin(3 * guided_filter(x, x, 2, 0.04)).sum()

    def at(step):
        moved = np.asarray(x[0], np.float64) + step * np.asarray(direction[0], np.float64)
        return np.sin(3 * reference_guided_filter(moved, moved, 2, 0.04)).sum()

    numeric = (at(1e-5) - at(-1e-5)) / 2e-5
    np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(x), direction), numeric, rtol=1e-3)


def test_guided_filter_removes_noise_and_keeps_edges():
    flat, noisy = noisy_regions(48, 64, noise=0.08)
    smooth = guided_filter(noisy, noisy, 2, 0.04)
    assert jnp.abs(smooth - flat).mean() < 0.5 * jnp.abs(noisy - flat).mean()
    blurred = cv2.blur(np.asarray(noisy[0]), (5, 5))
    assert jnp.abs(smooth - flat).max() < 0.6 * np.abs(blurred - flat[0]).max()


def reference_l0(image, weight, kappa):
    """Xu et al. (2011), algorithm 1, on an image in [0, 1], in float64."""
    height, width, _ = image.shape
    smooth = image
    right_kernel, down_kernel = np.zeros((2, height, width))
    right_kernel[0, 0] = down_kernel[0, 0] = -1
    right_kernel[0, -1] = down_kernel[-1, 0] = 1
    right_transfer = np.fft.fft2(right_kernel)[..., None]
    down_transfer = np.fft.fft2(down_kernel)[..., None]
    spectrum = np.fft.fft2(image, axes=(0, 1))
    power = np.abs(right_transfer) ** 2 + np.abs(down_transfer) ** 2
    beta = 2 * weight
    while beta < 1e5:
        right = np.roll(smooth, -1, 1) - smooth
        down = np.roll(smooth, -1, 0) - smooth
        cleared = (right**2 + down**2).sum(-1) < weight / beta
        right[cleared] = down[cleared] = 0
        gradients = np.conj(right_transfer) * np.fft.fft2(right, axes=(0, 1))
        gradients += np.conj(down_transfer) * np.fft.fft2(down, axes=(0, 1))
        solution = (spectrum + beta * gradients) / (1 + beta * power)
        smooth = np.fft.ifft2(solution, axes=(0, 1)).real
        beta *= kappa
    return smooth


@pytest.mark.parametrize(("weight", "kappa"), [(0.005, 2.0), (0.02, 4.0)])
def test_l0_smoothing_equals_the_reference(weight, kappa):
    x = jnp.concatenate([noisy_regions(30, 45, 0.1)[1], 0.3 * images(1, 30, 45, 3)])
    result = jax.jit(l0_smooth, static_argnums=(1, 2))(x, weight, kappa)
    for image, smooth in zip(np.asarray(x, np.float64), result, strict=True):
        expected = 2 * reference_l0((image + 1) / 2, weight, kappa) - 1
        np.testing.assert_allclose(smooth, np.clip(expected, -1, 1), atol=1e-4)


def test_l0_smoothing_recovers_flat_regions():
    flat, noisy = noisy_regions(48, 64, noise=0.08)
    smooth = jax.jit(lambda x: l0_smooth(x, 0.02))(noisy)
    assert jnp.abs(smooth - flat).mean() < 0.2 * jnp.abs(noisy - flat).mean()
    changes = jnp.abs(smooth[:, :, 1:] - smooth[:, :, :-1]).max(axis=-1) > 0.01
    edges = jnp.abs(flat[:, :, 1:] - flat[:, :, :-1]).max(axis=-1) > 0
    # Of the noisy image every pair of neighbours differs.
    assert (changes & ~edges).mean() < 0.1
    assert changes[edges].mean() > 0.95


def test_superpixels_recover_flat_regions():
    flat, noisy = noisy_regions(64, 96, noise=0.08)
    paint = jax.jit(superpixels)
    np.testing.assert_allclose(paint(flat), flat, atol=1e-5)
    error = jnp.abs(paint(noisy) - flat)
    assert error.mean() < 0.5 * jnp.abs(noisy - flat).mean()
    # No pixel at an edge is given to the region beside its own.
    assert error.max() < 0.2


def reference_superpixels(image, spacing, compactness, iterations):
    """SLIC with a full search: every pixel against the seeds that began within its 3x3 cells."""
    height, width, _ = image.shape
    lab = np.asarray(rgb_to_lab(jnp.asarray((image + 1) / 2)), np.float64)
    place = np.stack(np.mgrid[:height, :width], -1)
    features = np.concatenate([lab, place * compactness / spacing], -1)
    cell = place // spacing
    home = np.stack(np.mgrid[: height // spacing, : width // spacing], -1).reshape(-1, 2)
    near = (np.abs(cell[:, :, None] - home).max(-1)) <= 1
    seeds = np.stack([features[(cell == at).all(-1)].mean(0) for at in home])
    for i in range(iterations + 1):
        distance = np.square(features[:, :, None] - seeds).sum(-1)
        label = np.where(near, distance, np.inf).argmin(-1)
        if i < iterations:
            seeds = np.stack([features[label == k].mean(0) for k in range(len(home))])
    painted = np.empty_like(image)
    for k in range(len(home)):
        painted[label == k] = image[label == k].mean(0)
    return painted


@pytest.mark.slow
def test_superpixels_equal_the_reference():
    x = jnp.stack([cv2.GaussianBlur(np.asarray(a), (0, 0), 3) * 3 for a in images(2, 24, 40, 3)])
    x = jnp.clip(x, -1, 1)
    result = jax.jit(superpixels, static_argnums=(1, 2, 3))(x, 8, 10.0, 3)
    for image, painted in zip(np.asarray(x), result, strict=True):
        expected = reference_superpixels(image, 8, 10.0, 3)
        # A pixel as far from one seed as from another may fall to either.
        assert (np.abs(painted - expected).max(-1) > 0.01).mean() < 0.01


def test_superpixels_of_painted_regions_change_little():
    _, noisy = noisy_regions(64, 96, noise=0.08)
    once = jax.jit(superpixels)(noisy)
    twice = jax.jit(superpixels)(once)
    assert jnp.abs(twice - once).mean() < 0.2 * jnp.abs(once - noisy).mean()


def test_superpixels_refuse_sizes_that_seeds_do_not_divide():
    with pytest.raises(ValueError, match="16 do not divide an image of 40x32"):
        superpixels(jnp.zeros((1, 40, 32, 3)))


@pytest.mark.parametrize("smooth", [l0_smooth, lambda x: superpixels(x, 8)])
def test_targets_pass_no_gradient(smooth):
    gradient = jax.jit(jax.grad(lambda x: jnp.square(smooth(x)).sum()))(images(1, 16, 16, 3))
    assert not gradient.any()
