"""Disentanglement, completeness and informativeness of codes about known factors.

Source: Eastwood and Williams 2018. A regressor predicts each factor z_j from all codes; R_ij is how
much code c_i counts in the prediction of z_j. With P_ij = R_ij / sum_k R_ik over the K factors, and
Q_ij = R_ij / sum_k R_kj over the D codes,

    D_i = 1 - H_K(P_i.),  disentanglement = sum_i D_i sum_j R_ij / sum R    one factor a code
    C_j = 1 - H_D(Q_.j),  completeness    = sum_j C_j sum_i R_ij / sum R    one code a factor
    informativeness = (1 / K) sum_j S_j                                     how much they tell

where H_K is the entropy to the base K. Protocol: scikit-learn's random forests (which the paper has
beside lasso), 50 trees of at least 10 examples a leaf, fitted on one set of images and judged on
another. A category enters as one column a value, whose counts are added. S_j is R^2 of a number (1
minus the paper's squared NRMSE), and of a category the accuracy a, as (a - g) / (1 - g), where g is
that of always naming the commonest: 0 tells nothing, 1 all.

Not as in the paper: a forest's counts sum to 1 also for a factor that it cannot predict at all.
R_ij is therefore the count times max(S_j, 0), so that factors which no code holds (position, say)
weigh nothing, as they would with lasso. Units: 1; the first two from 0 to 1. With one factor
disentanglement is 1, with one code completeness is, whenever any code is informative.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.codes.mig import check
from jaxgan.metrics.codes.variables import columns, is_categorical

TREES, LEAF = 50, 10


class DCI(NamedTuple):
    """The three scores; `predicted`, float64 [K], is S_j, `importance`, float64 [D, K], is R."""

    disentanglement: float
    completeness: float
    informativeness: float
    predicted: np.ndarray
    importance: np.ndarray


def dci(
    codes: Sequence[np.ndarray],
    factors: Sequence[np.ndarray],
    judged_codes: Sequence[np.ndarray],
    judged_factors: Sequence[np.ndarray],
) -> DCI:
    """Fits forests on the first two and judges them on the last two.

    Args:
      codes, factors: at least one each, all [N]; integers from 0 are a category, floats a number.
      judged_codes, judged_factors: the same of other examples, all [M].

    Raises:
      ValueError: if one has not N or M values.
    """
    check(codes, factors)
    check(judged_codes, judged_factors)
    values = [
        int(max(a.max(), b.max())) + 1 if is_categorical(a) else 1
        for a, b in zip(codes, judged_codes, strict=True)
    ]
    inputs, judged = (
        np.concatenate([columns(x, n) for x, n in zip(some, values, strict=True)], axis=1)
        for some in (codes, judged_codes)
    )
    owner = np.repeat(np.arange(len(codes)), values)
    predicted = np.zeros(len(factors))
    importance = np.zeros((len(codes), len(factors)))
    for j, (factor, truth) in enumerate(zip(factors, judged_factors, strict=True)):
        counts, predicted[j] = _forest(inputs, factor, judged, truth)
        np.add.at(importance[:, j], owner, counts * max(predicted[j], 0))
    return DCI(
        _concentration(importance),
        _concentration(importance.T),
        float(predicted.mean()),
        predicted,
        importance,
    )


def _forest(
    inputs: np.ndarray, factor: np.ndarray, judged: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, float]:
    """How much each input counts, [columns], and S of the judged."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    settings = {
        "n_estimators": TREES,
        "min_samples_leaf": LEAF,
        "max_features": 1.0,
        "random_state": 0,
    }
    if not is_categorical(factor):
        forest = RandomForestRegressor(**settings).fit(inputs, factor)
        residual = np.square(truth - forest.predict(judged)).sum()
        return forest.feature_importances_, float(
            1 - residual / np.square(truth - truth.mean()).sum()
        )
    forest = RandomForestClassifier(**settings).fit(inputs, factor)
    accuracy = np.mean(forest.predict(judged) == truth)
    guessed = np.unique(truth, return_counts=True)[1].max() / len(truth)
    return forest.feature_importances_, float((accuracy - guessed) / (1 - guessed))


def _concentration(importance: np.ndarray) -> float:
    """1 - the entropy of each row, to the base of its length, weighed by the rows' sums; 0 where
    nothing counts."""
    weights = importance.sum(axis=1)
    if not weights.any():
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    rows = importance[weights > 0] / weights[weights > 0, None]
    entropies = -np.sum(rows * np.log(np.maximum(rows, 1e-300)), axis=1)
    apart = 1 - entropies / np.log(importance.shape[1])
    return float(np.average(apart, weights=weights[weights > 0]))
