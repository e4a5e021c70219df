"""A categorical code as a clustering, compared with the labels without a matching.

Source: scikit-learn's normalized_mutual_info_score and adjusted_rand_score (Hubert and Arabie
1985). With codes K and labels Y,

    NMI = 2 I(K; Y) / (H(K) + H(Y))
    ARI = (agreeing pairs - expected by chance) / (maximum - expected by chance)

Protocol: the codes that Q predicts for the test split's images, as in `code_accuracy`. Unitless.
"""

import numpy as np


def normalized_mutual_information(codes: np.ndarray, labels: np.ndarray) -> float:
    """NMI of two int [N], in [0, 1]; 1 if each determines the other."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, codes))


def adjusted_rand_index(codes: np.ndarray, labels: np.ndarray) -> float:
    """ARI of two int [N], in [-0.5, 1]; 0 is chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, codes))
