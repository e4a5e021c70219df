"""A categorical code read as a clustering, matched to nothing."""

import numpy as np


def normalized_mutual_information(codes: np.ndarray, labels: np.ndarray) -> float:
    """NMI in [0, 1], normalised by the arithmetic mean of the entropies (scikit-learn)."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, codes))


def adjusted_rand_index(codes: np.ndarray, labels: np.ndarray) -> float:
    """ARI in [-0.5, 1], 0 for chance (Hubert and Arabie 1985; scikit-learn)."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, codes))
