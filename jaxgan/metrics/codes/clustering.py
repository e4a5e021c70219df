"""A categorical code read as a clustering, matched to nothing.

Source: scikit-learn's normalized_mutual_info_score and adjusted_rand_score (Hubert and Arabie
1985). With codes K and labels Y

    NMI = 2 I(K; Y) / (H(K) + H(Y))
    ARI = (pairs that agree - expected by chance) / (most that could - expected by chance)

Protocol: the codes that Q reads off the real images of the test split, as in `code_accuracy`.
Units: bare numbers.
"""

import numpy as np


def normalized_mutual_information(codes: np.ndarray, labels: np.ndarray) -> float:
    """NMI in [0, 1] of two int [N]; 1 where each says all of the other."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, codes))


def adjusted_rand_index(codes: np.ndarray, labels: np.ndarray) -> float:
    """ARI in [-0.5, 1] of two int [N], 0 for chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, codes))
