"""The Fréchet distance between two sets of features, each modelled as one Gaussian.

Source: Dowson and Landau 1982 (the distance of two normal distributions); Heusel et al. 2017, eq. 6
(its use for GANs):

    d^2 = |m_r - m_g|^2 + Tr(C_r + C_g - 2 (C_r C_g)^(1/2))

where m and C are the mean and covariance (divided by N - 1) of real and generated features. Heusel
et al. use Inception-v3's features and call the result FID. Other extractors give distances that are
neither FIDs nor comparable with each other, so each result names its extractor. Protocol: as many
generated as real images, the real ones unseen in training, and the same number in every comparison,
because the estimate falls with the number. The square of the features' unit; 0 means equal means
and covariances.
"""

import numpy as np

from jaxgan.metrics.arrays import matrices


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """d^2 between the Gaussians fitted to two sets of features.

    The trace of the square root is computed as a sum of singular values (the symmetric
    (C_r^(1/2) C_g C_r^(1/2))^(1/2) has the same trace). Nothing can become complex or negative, and
    covariances without full rank (fewer images than features) are no special case.

    Args:
      real, generated: features, [N, ...] and [M, ...]; converted to float64.

    Returns:
      At least 0.

    Raises:
      ValueError: if there are fewer than 2 examples, the numbers of features differ, or one of them
        is not finite.
    """
    real, generated = matrices(real, generated, least=2)
    mean_r, root_r = _gaussian(real)
    mean_g, root_g = _gaussian(generated)
    # With C = A^T A for both, Tr (C_r C_g)^(1/2) is the sum of the singular values of A_r A_g^T.
    cross = np.linalg.svd(root_r @ root_g.T, compute_uv=False).sum()
    traces = np.square(root_r).sum() + np.square(root_g).sum()
    squared = np.square(mean_r - mean_g).sum() + traces - 2 * cross
    # Equal sets leave rounding errors of either sign.
    return max(float(squared), 0.0)


def _gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean [F], and a matrix A, [at most F, F], whose A^T A is the covariance."""
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    # A from the covariance would have half the correct digits, because of the squares.
    return mean, np.asarray(np.linalg.qr(centred, mode="r"))
