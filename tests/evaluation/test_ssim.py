import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from jaxstyle.evaluation.ssim import ssim


def direct_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """One image pair, window by window in float64, with the moments taken about the mean."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for channel in range(a.shape[-1]):
        x = sliding_window_view(a[..., channel].astype(np.float64), (11, 11))
        y = sliding_window_view(b[..., channel].astype(np.float64), (11, 11))
        mean_x, mean_y = ((window * z).sum((2, 3), keepdims=True) for z in (x, y))
        var_x = (window * (x - mean_x) ** 2).sum((2, 3))
        var_y = (window * (y - mean_y) ** 2).sum((2, 3))
        cov = (window * (x - mean_x) * (y - mean_y)).sum((2, 3))
        mean_x, mean_y = mean_x[..., 0, 0], mean_y[..., 0, 0]
        values.append(
            (2 * mean_x * mean_y + 0.01**2)
            / (mean_x**2 + mean_y**2 + 0.01**2)
            * (2 * cov + 0.03**2)
            / (var_x + var_y + 0.03**2)
        )
    return float(np.mean(values))


def image_pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images and noisier and noisier copies: SSIM from about 1 to near 0."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:40, 0:33] / 40
    a = np.stack([0.5 + 0.4 * np.sin(f * (x + 2 * y)) for f in (3, 9, 20)], axis=-1)
    a = np.repeat(a[None], 4, axis=0)
    noise = rng.normal(size=a.shape) * np.array([0.0, 0.01, 0.1, 0.5])[:, None, None, None]
    return a.astype(np.float32), np.clip(a + noise, 0, 1).astype(np.float32)


def test_agrees_with_a_direct_implementation():
    a, b = image_pairs(0)
    expected = [direct_ssim(x, y) for x, y in zip(a, b, strict=True)]
    actual = ssim(jnp.asarray(a), jnp.asarray(b))
    assert actual.shape == (4,)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert expected[0] == 1
    assert expected[-1] < 0.3


def test_constant_images_follow_the_luminance_term():
    a, b = jnp.full((1, 16, 16, 3), 0.25), jnp.full((1, 16, 16, 3), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    np.testing.assert_allclose(ssim(a, b), [expected], rtol=1e-5)


def test_symmetric_and_below_one_for_an_inverted_image():
    a, _ = image_pairs(1)
    a = jnp.asarray(a)
    np.testing.assert_allclose(ssim(a, 1 - a), ssim(1 - a, a), atol=1e-6)
    assert float(ssim(a, 1 - a).max()) < 0


def test_rejects_images_that_cannot_be_compared():
    with pytest.raises(ValueError, match="equal"):
        ssim(jnp.zeros((1, 16, 16, 3)), jnp.zeros((2, 16, 16, 3)))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(jnp.zeros((1, 10, 16, 3)), jnp.zeros((1, 10, 16, 3)))
