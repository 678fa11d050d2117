import math

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.evaluation.swd import laplacian_pyramid, sliced_wasserstein

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


# A quarter of the usual patches and directions: sorting them takes most of the time here.
FEW = {"projections": 128, "patches_per_image": 64}


def textures(seed: int, count: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Random blobs over several scales, [count, height, width, 3] float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, height, width, 3), np.float32)
    for cell in (2, 6, 16):
        for image in images:
            grid = rng.normal(size=(height // cell + 1, width // cell + 1, 3)).astype(np.float32)
            image += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(0.5 + 0.12 * images, 0, 1)


def opencv_pyramid(image: np.ndarray) -> list[np.ndarray]:
    levels = []
    while (min(image.shape[:2]) + 1) // 2 >= 16:
        coarse = cv2.pyrDown(image)
        # OpenCV doubles the size exactly; for odd sizes, one row or column too many.
        levels.append(image - cv2.pyrUp(coarse)[: image.shape[0], : image.shape[1]])
        image = coarse
    return [*levels, image]


def test_pyramid_agrees_with_opencv_for_even_and_odd_sizes():
    image = textures(0, 1, 67, 90)[0]
    actual = jax.jit(laplacian_pyramid)(jnp.asarray(image)[None])
    expected = opencv_pyramid(image)
    assert len(actual) == len(expected) == 3
    for level, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(level[0], reference, atol=2e-6)


def direct_sliced_wasserstein(a, b, key, projections, patches_per_image):
    """The definition with NumPy in float64; only the random draws are shared with jaxstyle."""
    count = min(len(a), len(b)) * patches_per_image
    levels_a, levels_b = (
        [np.stack(level) for level in zip(*map(opencv_pyramid, x), strict=True)] for x in (a, b)
    )
    distances = {}
    for level_a, level_b in zip(levels_a, levels_b, strict=True):
        key, position_key, direction_key = jax.random.split(key, 3)
        height, width = level_a.shape[1:3]
        key_y, key_x = jax.random.split(position_key)
        ys = np.asarray(jax.random.randint(key_y, (count,), 0, height - 6))
        xs = np.asarray(jax.random.randint(key_x, (count,), 0, width - 6))
        drawn = []
        for level in (level_a.astype(np.float64), level_b.astype(np.float64)):
            images = [math.floor(i * len(level) / count) for i in range(count)]
            drawn.append(
                np.stack(
                    [level[n, y : y + 7, x : x + 7] for n, y, x in zip(images, ys, xs, strict=True)]
                )
            )
        mean, std = drawn[1].mean((0, 1, 2)), drawn[1].std((0, 1, 2))
        flat_a, flat_b = (((x - mean) / std).reshape(count, -1) for x in drawn)
        directions = np.asarray(
            jax.random.normal(direction_key, (projections, flat_a.shape[1])), np.float64
        )
        per_direction = []
        for direction in directions:
            direction = direction / np.sqrt((direction**2).sum())
            order_a, order_b = sorted(flat_a @ direction), sorted(flat_b @ direction)
            gaps = [abs(p - q) for p, q in zip(order_a, order_b, strict=True)]
            per_direction.append(sum(gaps) / count)
        distances[f"swd/{height}"] = sum(per_direction) / projections
    distances["swd/mean"] = sum(distances.values()) / len(distances)
    return distances


@pytest.mark.parametrize(("count_a", "count_b"), [(6, 6), (5, 8)])
def test_agrees_with_a_direct_implementation(count_a, count_b):
    a, b = textures(1, count_a), np.sqrt(textures(2, count_b))
    options = {"projections": 16, "patches_per_image": 20}
    actual = sliced_wasserstein(jnp.asarray(a), jnp.asarray(b), KEY, **options)
    expected = direct_sliced_wasserstein(a, b, KEY, **options)
    assert list(expected) == ["swd/64", "swd/32", "swd/16", "swd/mean"]
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-4)


def test_zero_for_identical_sets_and_small_for_two_samples_of_one_distribution():
    a = jnp.asarray(textures(3, 16))
    assert all(float(value) < 1e-6 for value in sliced_wasserstein(a, a, KEY).values())
    other_sample = sliced_wasserstein(jnp.asarray(textures(4, 16)), a, KEY)
    shifted = sliced_wasserstein(jnp.clip(a + 0.1, 0, 1), a, KEY)
    assert 0 < float(other_sample["swd/64"]) < 0.05
    assert float(shifted["swd/16"]) > 2 * float(other_sample["swd/16"])


def test_grows_with_each_degradation_at_the_scale_it_touches():
    clean = textures(5, 12)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=clean.shape).astype(np.float32)
    tint = np.array([1, 0, -1], np.float32)
    degraded = {
        "blur": (
            "swd/64",
            [np.stack([cv2.GaussianBlur(x, (0, 0), s) for x in clean]) for s in (0.5, 1, 2)],
        ),
        "noise": ("swd/64", [clean + s * noise for s in (0.02, 0.05, 0.1)]),
        "tint": ("swd/16", [clean + s * tint for s in (0.02, 0.05, 0.1)]),
        "contrast": ("swd/16", [0.5 + s * (clean - 0.5) for s in (0.9, 0.7, 0.5)]),
    }
    for name, (level, images) in degraded.items():
        distances = [
            sliced_wasserstein(jnp.asarray(x), jnp.asarray(clean), KEY, **FEW) for x in images
        ]
        values = [0.0, *(float(distance[level]) for distance in distances)]
        assert values == sorted(values), (name, values)
        assert values[-1] > 0.1, (name, values)
        means = [float(distance["swd/mean"]) for distance in distances]
        assert means == sorted(means), (name, means)


def test_a_tint_shows_only_where_colours_are():
    clean = textures(6, 8) * 0.8
    tinted = sliced_wasserstein(jnp.asarray(clean + 0.1), jnp.asarray(clean), KEY, **FEW)
    assert float(tinted["swd/64"]) < 1e-4
    assert float(tinted["swd/16"]) > 0.1


def test_closed_form_for_constant_images():
    """E|<u, v>| = |v| Gamma(D/2) / (sqrt(pi) Gamma((D+1)/2)) for u uniform on the unit sphere."""
    a, b = jnp.full((2, 32, 32, 3), 110 / 255), jnp.full((2, 32, 32, 3), 100 / 255)
    distance = sliced_wasserstein(a, b, KEY, projections=4096, patches_per_image=4)
    dimensions = 7 * 7 * 3
    # Every component differs by ten grey levels, and the unit is one grey level here.
    length = 10 * math.sqrt(dimensions)
    log_ratio = math.lgamma(dimensions / 2) - math.lgamma((dimensions + 1) / 2)
    expected = length * math.exp(log_ratio) / math.sqrt(math.pi)
    np.testing.assert_allclose(distance["swd/16"], expected, rtol=0.04)
    np.testing.assert_allclose(distance["swd/32"], 0, atol=1e-3)


def test_rejects_sets_that_cannot_be_compared():
    with pytest.raises(ValueError, match="two sets"):
        sliced_wasserstein(jnp.zeros((2, 32, 32, 3)), jnp.zeros((2, 32, 40, 3)), KEY)
    with pytest.raises(ValueError, match="at least 32"):
        sliced_wasserstein(jnp.zeros((2, 31, 32, 3)), jnp.zeros((2, 31, 32, 3)), KEY)
