"""Kernel distance between two sets of features: KID, where they are InceptionV3's.

M. Bińkowski, D. J. Sutherland, M. Arbel, A. Gretton, "Demystifying MMD GANs", ICLR 2018: the
squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3. Unlike FID's its
estimate is unbiased, so that it can be used on some hundred images: between two samples of one
distribution it is 0 on average, sometimes below.
"""

import jax
import numpy as np

from jaxstyle.evaluation.fid import checked_features


def kernel_distance(
    a: np.ndarray,
    b: np.ndarray,
    key: jax.Array,
    subsets: int = 100,
    subset_size: int = 1000,
) -> tuple[float, float]:
    """KID: the mean and the standard deviation of the distance between random subsets.

    The defaults are those of published implementations. The deviation is torch-fidelity's, over the
    number of subsets. Subsets overlap, so it is no confidence interval: it vanishes as they come
    near the whole sets, and tells something where they are at most half of them.

    Args:
      a: [N, D] features, such as those of `features.inception.activations`; N at least 2.
      b: [M, D], M at least 2.
      key: a PRNG key, which draws the subsets.
      subsets: how many are drawn of each set, at least 1.
      subset_size: images in each, drawn without replacement, at least 2; no more than the smaller
        set has.

    Returns:
      (mean, deviation), in units of the kernel. Papers often print 1000 times that.

    Raises:
      ValueError: the sets differ in D, a set has fewer than two rows, a feature is not finite, or
        there are too few subsets or images in them.
    """
    a, b = checked_features(a, b)
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"KID needs subsets of two images, got {subsets} of {subset_size}")
    size = min(subset_size, len(a), len(b))
    key_a, key_b = jax.random.split(key)
    distances = [
        _squared_mmd(a[of_a], b[of_b])
        for of_a, of_b in zip(
            _drawn(key_a, len(a), subsets, size), _drawn(key_b, len(b), subsets, size), strict=True
        )
    ]
    return float(np.mean(distances)), float(np.std(distances))


def _drawn(key: jax.Array, count: int, subsets: int, size: int) -> np.ndarray:
    """`subsets` rows of `size` different numbers below `count`."""
    permute = jax.vmap(lambda key: jax.random.permutation(key, count))
    return np.asarray(permute(jax.random.split(key, subsets)))[:, :size]


def _squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate for two sets of n rows: pairs of a row with itself do not count."""
    n = len(a)
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(a, a), _kernel(b, b)))
    return within / (n * (n - 1)) - 2 * _kernel(a, b).mean()


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    x = a @ b.T / a.shape[1] + 1
    return x * x * x  # a power of float64 takes 30 times as long
