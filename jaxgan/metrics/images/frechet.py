"""The Fréchet distance between two sets of features, each seen as one Gaussian.

Source: Dowson and Landau 1982 (the distance between two normal distributions); Heusel et al. 2017,
equation 6 (its use for GANs):

    d^2 = |m_r - m_g|^2 + Tr(C_r + C_g - 2 (C_r C_g)^(1/2))

where m and C are the mean and the covariance (divided by N - 1) of real and generated features.
Heusel et al. take the features from Inception-v3 and call the result FID. Here they come from
another extractor, which is always named beside the figure: numbers of two extractors cannot be
compared, and none of them is a FID. Protocol: as many generated as real images, unseen ones, and
the same number wherever two figures are compared, for the estimate falls with the number.
Units: the square of the features' unit. 0 means equal means and covariances.
"""

import numpy as np


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """d^2 between the Gaussians fitted to two sets of features.

    The trace of the square root is taken as a sum of singular values (that of the symmetric
    (C_r^(1/2) C_g C_r^(1/2))^(1/2) is the same), so nothing complex and nothing negative can come
    up, and covariances without full rank (fewer images than features) are as good as others.

    Args:
      real, generated: features, [N, F] and [M, F]; taken to float64.

    Returns:
      At least 0.

    Raises:
      ValueError: if there are fewer than 2 examples, the features' numbers differ, or one of them
        is not finite.
    """
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(f"features are {real.shape} and {generated.shape}, not [N, F] and [M, F]")
    if min(len(real), len(generated)) < 2:
        raise ValueError(
            f"a covariance wants 2 examples, there are {len(real)} and {len(generated)}"
        )
    mean_r, root_r = _gaussian(real)
    mean_g, root_g = _gaussian(generated)
    # With C = A^T A on either side, Tr (C_r C_g)^(1/2) is the sum of A_r A_g^T's singular values.
    cross = np.linalg.svd(root_r @ root_g.T, compute_uv=False).sum()
    spread = np.square(root_r).sum() + np.square(root_g).sum()
    squared = np.square(mean_r - mean_g).sum() + spread - 2 * cross
    # Equal sets leave a rounding error of either sign.
    return max(float(squared), 0.0)


def _gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean [F], and a matrix A [at most F, F] with A^T A the covariance."""
    features = features.astype(np.float64)
    if not np.isfinite(features).all():
        raise ValueError("the features are not finite")
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    # From the examples themselves, not from their covariance: squaring would halve the digits.
    return mean, np.asarray(np.linalg.qr(centred, mode="r"))
