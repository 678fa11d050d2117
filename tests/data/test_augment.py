import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.data import augment

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def coordinates(height, width):
    """Red = row, green = column: a crop tells where it was cut."""
    y, x = np.mgrid[0:height, 0:width].astype(np.uint8)
    return np.stack([y, x, np.zeros_like(x)], axis=-1)


def test_crops_stay_square_inside_and_within_the_scale():
    rng = np.random.default_rng(0)
    crops = np.array([augment.sample_crop(50, 80, (0.4, 0.8), rng) for _ in range(500)])
    top, left, side = crops.T
    assert side.min() >= 20
    assert side.max() <= 40
    assert {20, 40} <= set(side)
    assert top.min() == 0
    assert left.min() == 0
    assert (top + side).max() == 50
    assert (left + side).max() == 80


def test_a_crop_at_its_own_size_keeps_the_pixels():
    image = coordinates(40, 60)
    cut = augment.resized_crop(image, (7, 11, 16), 16)
    np.testing.assert_array_equal(cut, image[7:23, 11:27])


def test_downscaling_averages():
    checkerboard = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    image = checkerboard[..., None].repeat(3, axis=-1)
    small = augment.resized_crop(image, (0, 0, 32), 8)
    assert np.abs(small.astype(int) - 127).max() <= 1


def test_small_images_are_scaled_up():
    image = coordinates(5, 9)
    large = augment.random_resized_crop(image, 64, (1.0, 1.0), np.random.default_rng(0))
    assert large.shape == (64, 64, 3)
    assert large.dtype == np.uint8
    assert np.ptp(large[..., 0]) == 4


def test_the_generator_decides_the_crop():
    image = coordinates(40, 60)
    first, again, other = (
        augment.random_resized_crop(image, 16, (0.5, 1.0), np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_edges_are_blurred_and_flat_parts_kept():
    image = np.full((40, 40, 3), 30, np.uint8)
    image[:, 20:] = 220
    image[2, 2] = 33  # too faint for an edge: must survive untouched
    smooth = augment.smooth_edges(image)
    changed = np.flatnonzero((smooth != image).any(axis=(0, 2)))
    assert changed.tolist() == [18, 19, 20, 21]
    np.testing.assert_array_equal(smooth[2, 2], image[2, 2])
    # OpenCV's 5-tap kernel is the binomial one: 1 4 6 4 1 over 16.
    step = (220 - 30) / 16
    expected = [30 + step * taps for taps in (1, 5, 11, 15)]
    np.testing.assert_allclose(smooth[10, 18:22, 0], expected, atol=1)


def test_smooth_edges_follows_the_published_recipe_pixel_by_pixel(media):
    image = cv2.imread(str(media / "style" / "single_references" / "fst_wave.jpg"))[:96, :128, ::-1]
    image = np.ascontiguousarray(image)
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 100, 200)
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect").astype(float)
    padded_edges = np.pad(edges, 2)
    expected = image.astype(float)
    for y, x in np.ndindex(edges.shape):
        if padded_edges[y : y + 5, x : x + 5].any():
            window = padded[y : y + 5, x : x + 5]
            expected[y, x] = (window * weights[..., None]).sum((0, 1))
    smooth = augment.smooth_edges(image)
    np.testing.assert_allclose(smooth, expected, atol=0.51)
    assert 0.05 < (smooth != image).any(-1).mean() < 0.9


def test_to_float_covers_the_range():
    values = augment.to_float(jnp.array([0, 255, 51], jnp.uint8))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, [-1, 1, -0.6], atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.float32])
def test_random_flip_mirrors_about_half_and_pairs_alike(dtype):
    images = jnp.asarray(np.random.default_rng(0).integers(0, 255, (200, 4, 6, 3)), dtype)
    flip = jax.jit(augment.random_flip)
    keys = jax.random.split(KEY, 200)
    flipped = flip(images, keys)
    assert flipped.dtype == dtype
    mirrored = [bool((a == b[:, ::-1]).all()) for a, b in zip(flipped, images, strict=True)]
    kept = [bool((a == b).all()) for a, b in zip(flipped, images, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 70 < sum(mirrored) < 130
    partner = flip(255 - images, keys)
    np.testing.assert_array_equal(partner, 255 - flipped)
    assert not np.array_equal(flip(images, jax.random.split(jax.random.key(1), 200)), flipped)


def test_keys_of_images_are_the_same_in_whatever_parts():
    keys = augment.keys_of_images(KEY, jnp.arange(6))
    assert len({tuple(np.asarray(jax.random.key_data(key))) for key in keys}) == 6
    part = augment.keys_of_images(KEY, jnp.array([5, 2]))
    np.testing.assert_array_equal(
        jax.random.key_data(part), jax.random.key_data(keys)[jnp.array([5, 2])]
    )


KEYS = jax.random.split(KEY, 64)


def random_batch(low=-0.5, high=0.5):
    return jax.random.uniform(KEY, (64, 5, 7, 3), minval=low, maxval=high)


def test_jitter_of_strength_zero_changes_nothing():
    images = random_batch(-1.0, 1.0)
    np.testing.assert_allclose(augment.color_jitter(images, KEYS), images, atol=1e-6)


def grey_of(x):
    return x @ np.array([0.299, 0.587, 0.114])


def test_brightness_multiplies_each_image_by_its_own_factor():
    images = random_batch()
    out = jax.jit(augment.color_jitter, static_argnums=2)(images, KEYS, 0.3)
    ratio = np.asarray((out + 1) / (images + 1))
    factors = ratio.mean((1, 2, 3))
    np.testing.assert_allclose(
        ratio, factors[:, None, None, None].repeat(5, 1).repeat(7, 2).repeat(3, 3), rtol=1e-4
    )
    assert factors.min() > 0.7
    assert factors.max() < 1.3
    assert np.ptp(factors) > 0.5


def test_contrast_keeps_the_mean_grey_and_scales_about_it():
    images = random_batch()
    out = np.asarray(augment.color_jitter(images, KEYS, contrast=0.3))
    images = np.asarray(images)
    np.testing.assert_allclose(grey_of(out).mean((1, 2)), grey_of(images).mean((1, 2)), atol=1e-5)
    factors = out.std((1, 2, 3)) / images.std((1, 2, 3))
    assert np.ptp(factors) > 0.4
    assert 0.7 <= factors.min() < factors.max() <= 1.3


def test_saturation_keeps_every_grey_and_scales_colour():
    images = random_batch()
    out = np.asarray(augment.color_jitter(images, KEYS, saturation=0.3))
    images = np.asarray(images)
    np.testing.assert_allclose(grey_of(out), grey_of(images), atol=1e-5)
    factors = np.ptp(out, axis=-1).mean((1, 2)) / np.ptp(images, axis=-1).mean((1, 2))
    assert np.ptp(factors) > 0.4


def test_jitter_stays_in_range():
    out = augment.color_jitter(random_batch(-1.0, 1.0), KEYS, 0.5, 0.5, 0.5)
    assert float(jnp.abs(out).max()) <= 1


# ---- Noise ---------------------------------------------------------------------------------------


def noise_of(keys, strongest, shape=(32, 24)):
    grey = jnp.full((len(keys), *shape, 3), 0.25)
    return np.asarray(jax.jit(augment.add_noise)(grey, keys, strongest) - grey)


def mean_of_blocks(images, size):
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // size, size, width // size, size, channels)
    return blocks.mean((2, 4), keepdims=True).repeat(size, 2).repeat(size, 4).reshape(images.shape)


def test_each_image_gets_noise_of_three_grains_in_strengths_of_its_own():
    noise = noise_of(jax.random.split(KEY, 400), 0.3, (64, 64))
    twos, fours = mean_of_blocks(noise, 2), mean_of_blocks(noise, 4)
    # What varies within blocks of 2, within those of 4, and between these. The mean of a block of
    # four independent numbers has a quarter of their variance, what is left three quarters.
    within_twos = (noise - twos).var((1, 2, 3)) / 0.75
    within_fours = (twos - fours).var((1, 2, 3)) / 0.75 - within_twos / 4
    between = fours.var((1, 2, 3)) - within_fours / 4 - within_twos / 16
    variances = np.stack([within_twos, within_fours, between])
    # Each is U(0, 0.3 / sqrt(3)), so that all together are 0.3 at most.
    shares = (0.1, 0.25, 0.5, 0.75, 0.9)
    for found in np.sqrt(np.maximum(variances, 0)):
        expected = np.multiply(shares, 0.3 / 3**0.5)
        np.testing.assert_allclose(np.quantile(found, shares), expected, atol=0.02)
    assert noise.std((1, 2, 3)).max() < 0.3
    correlations = np.corrcoef(np.sqrt(np.maximum(variances, 0)))
    assert np.abs(correlations - np.eye(3)).max() < 0.2


def test_noise_is_normal_and_has_no_direction():
    noise = noise_of(jax.random.split(KEY, 400), 0.3)
    unit = noise / noise.std((1, 2, 3), keepdims=True)
    assert abs(unit.mean()) < 0.02
    np.testing.assert_allclose((np.abs(unit) < 1).mean(), 0.6827, atol=0.02)
    beside, below = unit[:, :, :-1] * unit[:, :, 1:], unit[:, :-1] * unit[:, 1:]
    np.testing.assert_allclose(beside.mean(), below.mean(), atol=0.02)
    # Neither do the channels know of each other.
    assert abs((unit[..., 0] * unit[..., 1]).mean()) < 0.02


def test_noise_depends_on_the_key_of_the_image_alone():
    keys = jax.random.split(KEY, 6)
    noise = noise_of(keys, 0.3)
    few = jnp.array([4, 1])
    np.testing.assert_allclose(noise_of(keys[few], 0.3), noise[few], atol=1e-6)
    assert len({image.tobytes() for image in noise}) == 6
    np.testing.assert_allclose(noise_of(keys, 0.6), 2 * noise, atol=1e-6)


def test_noise_of_strength_zero_changes_nothing():
    np.testing.assert_array_equal(noise_of(KEYS, 0.0), 0)
