"""How well the codes of several seeds agree, and their consensus: no label is used.

Source: Duan et al. 2020 (Unsupervised Disentanglement Ranking, UDR) rank models by how similar
their codes of the same images are to those of other seeds: models that found the factors of the
data resemble each other, and each of the others goes wrong in its own way. Lin et al. 2020
(InfoGAN-CR, section 4, ModelCentrality) choose the medoid of the models in the same sense. With
S(i, j) the similarity of seeds i and j,

    agreement(i) = mean over j != i of S(i, j)

Here S is the normalised mutual information of categorical codes. Of continuous codes it is UDR's:
with R the absolute Spearman correlations of the codes of i and of j, [D, D], the mean over rows and
columns of (max R)^2 / sum R. Unlike UDR, no code is left out as uninformative. Unlike
ModelCentrality, S is computed from real images, not from a FactorVAE score of generated ones.

Protocol: what Q predicts for the images of the validation split. Unitless, in [0, 1].
"""

from collections.abc import Sequence

import numpy as np

from jaxgan.metrics.codes.clustering import normalized_mutual_information
from jaxgan.metrics.codes.code_accuracy import contingency, match_one_to_one


def categorical_similarity(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """The normalised mutual information of the codes of two seeds, in [0, 1]. Several codes are
    first paired so that their mean is highest (Hungarian method).

    Args:
      one, other: the codes of either seed, int [N] each; both have the same number of codes.
    """
    from scipy.optimize import linear_sum_assignment

    table = np.array([[normalized_mutual_information(a, b) for b in other] for a in one])
    return float(table[linear_sum_assignment(-table)].mean())


def continuous_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """The similarity of UDR of two seeds' codes, float [N, D] each, in [0, 1]: 1 if each code is
    monotonic in one code of the other seed and uncorrelated with the rest. Raises ValueError for
    other shapes."""
    from scipy.stats import spearmanr

    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"codes are {one.shape} and {other.shape}, not [N, D] each")
    # A constant code has no rank; it correlates with nothing.
    r = np.zeros((one.shape[1], one.shape[1]))
    for i in np.flatnonzero(np.ptp(one, axis=0)):
        for j in np.flatnonzero(np.ptp(other, axis=0)):
            r[i, j] = abs(spearmanr(one[:, i], other[:, j]).statistic)
    return float((_concentration(r) + _concentration(r.T)) / 2)


def _concentration(r: np.ndarray) -> float:
    """The mean over rows of (max r)^2 / sum r; 0 for a row of zeros."""
    total = r.sum(axis=1)
    share = np.divide(r.max(axis=1) ** 2, total, out=np.zeros_like(total), where=total > 0)
    return float(share.mean())


def agreement(similarity: np.ndarray) -> np.ndarray:
    """The mean similarity of each seed to the others: float64 [S] from [S, S], S at least 2; the
    diagonal is ignored. Raises ValueError for other shapes."""
    seeds = len(similarity)
    if similarity.shape != (seeds, seeds) or seeds < 2:
        raise ValueError(f"similarities are {similarity.shape}, not [S, S] with S at least 2")
    rest = np.asarray(similarity, np.float64) * (1 - np.eye(seeds))
    return np.asarray(rest.sum(axis=1) / (seeds - 1))


def align(codes: np.ndarray, target: np.ndarray, values: int) -> np.ndarray:
    """Which value of `target` each value of `codes` corresponds to (Hungarian method).

    Args:
      codes, target: the most likely value for the same images, int [N] each.
      values: number of values that both can take.

    Returns:
      int [values], a permutation.
    """
    return match_one_to_one(contingency(codes, target, values, values))


def consensus(
    probabilities: Sequence[np.ndarray], permutations: Sequence[np.ndarray]
) -> np.ndarray:
    """The mean of several seeds' predictions after alignment.

    Args:
      probabilities: of each seed, Q(c | x) for the same images, float [N, K].
      permutations: of each seed, from `align`.

    Returns:
      float64 [N, K]; rows sum to 1.
    """
    total = np.zeros(probabilities[0].shape)
    for one, permutation in zip(probabilities, permutations, strict=True):
        total[:, permutation] += one
    return total / len(probabilities)
