"""Fréchet distance between two sets of features: FID, where they are InceptionV3's.

M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, "GANs Trained by a Two
Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017. A Gaussian is fitted to
each set, and the 2-Wasserstein distance between the two computed:

    |m_a - m_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

The estimate is biased: two samples of one distribution are at a distance above 0 that falls as they
grow. Figures compare only where the sets are of equal size; for small sets there is KID, `kid`.
"""

import numpy as np

# Covariances of 2048 features have full rank only from 2049 images on: below that the figure is of
# the sample more than of the distribution. The authors recommend 10,000.
SMALLEST_SET = 2049


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance between Gaussians fitted to two sets; symmetric.

    Covariances are the unbiased ones (over N - 1), as in published implementations.

    Args:
      a: [N, D] features, such as those of `features.inception.activations`; N at least 2.
      b: [M, D], M at least 2.

    Returns:
      A figure of at least 0, in squared units of the features.

    Raises:
      ValueError: the sets differ in D, a set has fewer than two rows, or a feature is not finite.
    """
    a, b = checked_features(a, b)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    # With S = R^T R, tr((S_a S_b)^(1/2)) is the sum of the singular values of R_a R_b^T. That takes
    # no root of eigenvalues that should be 0 and are not: singular covariances are as exact as
    # others, and there are no complex numbers.
    root_a = _covariance_root(a - mean_a)
    root_b = _covariance_root(b - mean_b)
    common = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    spread = np.sum(root_a**2) + np.sum(root_b**2)
    distance = np.sum((mean_a - mean_b) ** 2) + spread - 2 * common
    return max(float(distance), 0.0)  # rounding can push it slightly below


def _covariance_root(centred: np.ndarray) -> np.ndarray:
    """R with R^T R the covariance of [N, D] rows of mean 0; of min(N, D) rows."""
    root = np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred
    return root / np.sqrt(len(centred) - 1)


def checked_features(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64; raises `ValueError` as in `frechet_distance`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features must be [N, D] and [M, D], got {a.shape} and {b.shape}")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a distance of sets needs two images in each, got {len(a)} and {len(b)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features must be finite")
    return a, b
