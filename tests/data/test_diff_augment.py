"""What DiffAugment does to each image is found out from the result, and compared with the paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxstyle.data import diff_augment as augment

IMAGES = 256
KEYS = jax.random.split(jax.random.key(0), IMAGES)


@pytest.fixture(scope="module")
def images():
    shape = (IMAGES, 8, 16, 3)
    return np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)


def is_uniform(values, low, high):
    assert (values >= low - 1e-4).all()
    assert (values <= high + 1e-4).all()
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_colours_are_brighter_more_saturated_and_of_more_contrast(images, strength):
    changed = np.asarray(augment.random_color(images, KEYS, strength))
    grey, new_grey = (x.mean(axis=-1, keepdims=True) for x in (images, changed))
    mean, new_mean = (x.mean(axis=(1, 2, 3), keepdims=True) for x in (images, changed))
    # Grey differs from its mean by the contrast, colour from grey by both factors.
    contrast = ((new_grey - new_mean) / (grey - mean)).reshape(IMAGES, -1)
    both = ((changed - new_grey) / (images - grey)).reshape(IMAGES, -1)
    brightness = (new_mean - mean).ravel()
    contrast, both = np.median(contrast, axis=1), np.median(both, axis=1)
    column = (slice(None), None, None, None)
    expected = (
        mean
        + brightness[column]
        + contrast[column] * (grey - mean)
        + both[column] * (images - grey)
    )
    np.testing.assert_allclose(changed, expected, atol=1e-4)
    is_uniform(brightness, -strength / 2, strength / 2)
    is_uniform(contrast, 1 - strength / 2, 1 + strength / 2)
    is_uniform(both / contrast, 1 - strength, 1 + strength)


@pytest.mark.parametrize(("strength", "rows", "columns"), [(1.0, 1, 2), (0.5, 0, 1)])
def test_translations_are_whole_pixels_and_bring_zeros_in(images, strength, rows, columns):
    moved = np.asarray(augment.random_translation(images, KEYS, strength))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = []
    for i in range(IMAGES):
        found += [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if (moved[i] == padded[i, 2 + dy : 10 + dy, 2 + dx : 18 + dx]).all()
        ]
    assert len(found) == IMAGES
    every = {(y, x) for y in range(-rows, rows + 1) for x in range(-columns, columns + 1)}
    assert set(found) == every


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_cutouts_are_rectangles_anywhere(images, strength):
    cut = np.asarray(augment.random_cutout(images, KEYS, strength))
    gone = (cut == 0).all(axis=-1)
    np.testing.assert_array_equal(cut, np.where(gone[..., None], 0, images))
    heights, widths = gone.any(axis=2).sum(axis=1), gone.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(gone.sum(axis=(1, 2)), heights * widths)
    assert heights.max() == round(8 * strength / 2)
    assert widths.max() == round(16 * strength / 2)
    # A centre at the border leaves half of it.
    assert heights.min() <= 4 * strength / 2 + 1
    assert gone.any(axis=0).all()


@pytest.mark.slow
def test_what_is_asked_for_is_done_in_one_order_image_by_image(images):
    some, keys = images[:4], KEYS[:4]
    np.testing.assert_array_equal(augment.diff_augment(some, keys, ()), some)
    whole = augment.diff_augment(some, keys, ("cutout", "color", "translation"), 0.7)
    again = augment.diff_augment(some, keys, ("color", "translation", "cutout"), 0.7)
    np.testing.assert_array_equal(whole, again)
    # Where it is not cut out.
    uncut = augment.diff_augment(some, keys, ("translation", "color"), 0.7)
    np.testing.assert_array_equal(whole, np.where(np.asarray(whole) == 0, 0, uncut))
    one = augment.diff_augment(some[2:3], keys[2:3], ("color", "translation", "cutout"), 0.7)
    np.testing.assert_allclose(one[0], whole[2], atol=1e-6)


@pytest.mark.slow
def test_gradients_flow_to_what_is_left(images):
    some, keys = jnp.asarray(images[:2]), KEYS[:2]
    for function in (augment.random_translation, augment.random_cutout):
        gradient = jax.grad(lambda x, f=function: (f(x, keys) ** 2).sum() / 2)(some)
        left = np.asarray(function(some, keys))
        # Each pixel that is still there gives its own value.
        np.testing.assert_allclose(np.sort(gradient.ravel()), np.sort(left.ravel()), atol=1e-6)
