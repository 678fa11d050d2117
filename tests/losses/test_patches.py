import functools
import math

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxstyle.evaluation.swd import laplacian_pyramid, sliced_wasserstein
from jaxstyle.losses.patches import patch_distance

pytestmark = pytest.mark.slow

KEYS = jax.random.split(jax.random.key(0), 4)

distance = jax.jit(patch_distance, static_argnames="projections")


@functools.cache
def textures(seed, count, side=64):
    """Random blobs of several sizes, float32 [count, side, side, 3] in about [-1, 1]."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, side, side, 3), np.float32)
    for cell in (2, 6, 16):
        for image in images:
            grid = rng.normal(size=(side // cell + 1, side // cell + 1, 3)).astype(np.float32)
            image += 0.2 * cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR)
    return images


def mean_distance(output, style, projections=64):
    output, style = jnp.asarray(output), jnp.asarray(style)
    return np.mean([distance(output, style, key, projections=projections) for key in KEYS])


def test_flat_pictures_of_the_same_colours_are_at_no_distance():
    """Wherever patches are taken from."""
    colours = jax.random.uniform(KEYS[0], (6, 1, 1, 3), minval=-1.0)
    flat = jnp.broadcast_to(colours, (6, 32, 32, 3))
    for key in KEYS:
        np.testing.assert_allclose(distance(flat, flat[::-1], key), 0, atol=1e-5)


def test_distance_of_flat_pictures_follows_the_closed_form():
    """E|<u, v>| = |v| Gamma(D/2) / (sqrt(pi) Gamma((D+1)/2)) for u uniform on the unit sphere."""
    ours, theirs = jnp.full((2, 32, 32, 3), 0.2), jnp.full((2, 32, 32, 3), 0.1)
    dimensions = 7 * 7 * 3
    # The least that counts as a deviation is a grey level, of which 255 are two units here.
    length = 0.1 * (255 / 2) * math.sqrt(dimensions)
    log_ratio = math.lgamma(dimensions / 2) - math.lgamma((dimensions + 1) / 2)
    at_the_coarsest = length * math.exp(log_ratio) / math.sqrt(math.pi)
    found = distance(ours, theirs, KEYS[0], projections=4096)
    # The mean of two levels, and in the finer one there is nothing.
    np.testing.assert_allclose(found, at_the_coarsest / 2, rtol=0.04)


@pytest.mark.parametrize("change", ["half the contrast", "twice the contrast", "noise"])
def test_agrees_with_the_evaluation_of_large_batches(change):
    style = textures(2, 64)
    output = {
        "half the contrast": 0.5 * textures(1, 64),
        "twice the contrast": 2.0 * textures(1, 64),
        "noise": textures(1, 64)
        + np.random.default_rng(3).normal(0, 0.6, style.shape).astype(np.float32),
    }[change]
    # That one takes images in [0, 1].
    a, b = (jnp.asarray((x + 1) / 2) for x in (output, style))
    few = {"projections": 64, "patches_per_image": 64}
    expected = np.mean([sliced_wasserstein(a, b, key, **few)["swd/mean"] for key in KEYS])
    np.testing.assert_allclose(mean_distance(output, style), expected, rtol=0.1)


def test_a_batch_is_nearest_to_what_has_its_textures():
    style = textures(2, 32)
    same = mean_distance(style, style)
    # Patches of the two are not taken at the same places.
    assert same > 0
    assert mean_distance(textures(1, 32), style) < 1.5 * same
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in style])
    for other in (0.5 * style, blurred, style + np.float32([0.5, 0, -0.5])):
        assert mean_distance(other, style) > 2.5 * same


def test_where_textures_are_does_not_count():
    style = textures(2, 32)
    same = mean_distance(style, style)
    # Moved around the border, where a few textures are cut.
    for moved in (np.roll(style, (23, 10), axis=(1, 2)), style[:, ::-1, ::-1]):
        np.testing.assert_allclose(mean_distance(moved, style), same, rtol=0.25)
    # Nor does the order of the images, at all.
    output, key = jnp.asarray(textures(1, 32)), KEYS[0]
    np.testing.assert_allclose(
        distance(output[::-1], style, key), distance(output, style, key), rtol=1e-5
    )


def test_the_unit_is_what_the_style_deviates_by():
    """So a style of little contrast is not learned the less for that."""
    output, style = textures(1, 8), textures(2, 8)
    full, faint = (
        distance(jnp.asarray(s * output), jnp.asarray(s * style), KEYS[0]) for s in (1.0, 0.3)
    )
    np.testing.assert_allclose(faint, full, rtol=1e-3)


@pytest.mark.parametrize("side", [32, 50])
def test_any_size_from_32_on_will_do(side):
    output, style = (jnp.asarray(textures(seed, 2, side)) for seed in (1, 2))
    value, gradient = jax.value_and_grad(patch_distance)(output, style, KEYS[0])
    assert value.shape == ()
    assert value > 0
    assert jnp.isfinite(gradient).all()
    assert jnp.abs(gradient).max() > 0


def test_gradients_are_finite_where_nothing_varies():
    flat = jnp.zeros((2, 32, 32, 3))
    for output, style in (
        (flat, flat),
        (flat, flat + 0.3),
        (jnp.asarray(textures(1, 2, 32)), flat),
    ):
        gradient = jax.grad(patch_distance)(output, style, KEYS[0])
        assert jnp.isfinite(gradient).all()


def test_descending_its_gradient_brings_the_textures_and_colours_of_the_style():
    """At every scale, from grey noise on."""
    style = jnp.asarray(0.8 * textures(5, 4) + np.float32([0.3, 0.0, -0.2]))
    picture = 0.1 * jax.random.normal(jax.random.key(2), style.shape)
    adam = optax.adam(0.02)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(picture, moments, key):
        gradient = jax.grad(patch_distance)(picture, style, key)
        with jax.numpy_dtype_promotion("standard"):
            change, moments = adam.update(gradient, moments)
        return picture + change, moments

    def strengths(images):
        return np.array([float(level.std()) for level in laplacian_pyramid(images)])

    before, wanted = strengths(picture), strengths(style)
    assert (before[1:] < 0.5 * wanted[1:]).all()
    moments = adam.init(picture)
    for key in jax.random.split(jax.random.key(3), 300):
        picture, moments = step(picture, moments, key)
    np.testing.assert_allclose(strengths(picture), wanted, rtol=0.2)
    np.testing.assert_allclose(picture.mean((0, 1, 2)), style.mean((0, 1, 2)), atol=0.03)
