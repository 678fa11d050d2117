import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from jaxstyle.evaluation.ms_ssim import ms_ssim, scale_count

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def direct_ms_ssim(a: np.ndarray, b: np.ndarray, scales: int) -> float:
    """One RGB pair in float64, by convolution."""
    tap = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(tap, tap) / tap.sum() ** 2
    x, y = (image.astype(np.float64) @ [0.299, 0.587, 0.114] for image in (a, b))
    weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    result = 1.0
    for scale in range(scales):
        mean_x, mean_y, xx, yy, xy = (
            fftconvolve(z, window, mode="valid") for z in (x, y, x * x, y * y, x * y)
        )
        var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
        similarity = (2 * cov + 0.03**2) / (var_x + var_y + 0.03**2)
        if scale == scales - 1:
            similarity *= (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        result *= max(similarity.mean(), 0) ** weights[scale]
        height, width = (side // 2 for side in x.shape)
        x, y = (
            z[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3)) for z in (x, y)
        )
    return result


def image_pairs(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Images with detail at every scale; their copies: equal, noisier and noisier, inverted."""
    rng = np.random.default_rng(0)
    octaves = [
        gaussian_filter(rng.normal(size=(height, width, 3)), (s, s, 0)) for s in (1, 2, 4, 8, 16)
    ]
    a = 0.5 + 0.08 * sum(octave / octave.std() for octave in octaves)
    noise = rng.normal(size=a.shape) * np.array([0.0, 0.03, 0.1, 0.3])[:, None, None, None]
    a = np.clip(a, 0, 1)
    b = np.concatenate([np.clip(a + noise, 0, 1), [1 - a]])
    return np.repeat(a[None], 5, axis=0).astype(np.float32), b.astype(np.float32)


# 176 pixels are the fewest for five scales; 90 x 53 are odd at several of three.
@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "scales"), [(176, 190, 5), (90, 53, 3)])
def test_agrees_with_a_direct_implementation(height, width, scales):
    a, b = image_pairs(height, width)
    expected = [direct_ms_ssim(x, y, scales) for x, y in zip(a, b, strict=True)]
    actual = np.asarray(ms_ssim(jnp.asarray(a), jnp.asarray(b)))
    assert actual.shape == (5,)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    # Equal, then falling with noise, and 0 rather than NaN where structure is inverted.
    np.testing.assert_allclose(actual[0], 1, atol=1e-5)
    assert list(actual) == sorted(actual, reverse=True)
    assert actual[3] < 0.8
    assert actual[4] == 0
    swapped = ms_ssim(jnp.asarray(b), jnp.asarray(a))
    np.testing.assert_allclose(swapped, actual, atol=1e-6)


def test_has_as_many_scales_as_hold_a_window():
    sides = (10, 11, 21, 22, 87, 88, 175, 176, 4000)
    assert [scale_count(side, 5000) for side in sides] == [0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert scale_count(5000, 22) == 2


def test_rejects_images_that_cannot_be_compared():
    with pytest.raises(ValueError, match="equal"):
        ms_ssim(jnp.zeros((1, 16, 16, 3)), jnp.zeros((2, 16, 16, 3)))
    with pytest.raises(ValueError, match="at least 11"):
        ms_ssim(jnp.zeros((1, 10, 16, 3)), jnp.zeros((1, 10, 16, 3)))
