"""Disentanglement, completeness and informativeness (DCI) of codes about known factors.

Source: Eastwood and Williams 2018. A regressor predicts each factor z_j from all codes;
R_ij is the importance of code c_i for factor z_j. With P_ij = R_ij / sum_k R_ik over the K factors
and Q_ij = R_ij / sum_k R_kj over the D codes,

    D_i = 1 - H_K(P_i.),  disentanglement = sum_i D_i sum_j R_ij / sum R    one factor per code
    C_j = 1 - H_D(Q_.j),  completeness    = sum_j C_j sum_i R_ij / sum R    one code per factor
    informativeness = (1 / K) sum_j S_j                                     predictability

where H_K is the entropy to base K. Protocol: scikit-learn's random forests (the paper uses them
beside lasso), 50 trees with at least 10 examples per leaf, fitted on one set of images and scored
on another. A category is one-hot, and its columns' importances are added. S_j is R^2 for a number
(1 minus the paper's squared NRMSE), and (a - g) / (1 - g) for a category, with the accuracy a and
the accuracy g of always predicting the most frequent value: 0 is uninformative, 1 perfect.

Unlike the paper: a forest's importances sum to 1 even for a factor that it cannot predict. R_ij is
therefore the importance times max(S_j, 0), so that factors which no code holds (such as position)
weigh nothing, as with lasso. Unitless; the first two are in [0, 1]. If any code is informative,
disentanglement is 1 for a single factor, and completeness is 1 for a single code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.codes.r_squared import r_squared
from jaxgan.metrics.codes.variables import check_variables, columns, is_categorical

TREES, LEAF = 50, 10


class DCI(NamedTuple):
    """The three scores; `predicted` is S, float64 [K], and `importance` is R, float64 [D, K]."""

    disentanglement: float
    completeness: float
    informativeness: float
    predicted: np.ndarray
    importance: np.ndarray


def dci(
    codes: Sequence[np.ndarray],
    factors: Sequence[np.ndarray],
    test_codes: Sequence[np.ndarray],
    test_factors: Sequence[np.ndarray],
) -> DCI:
    """Fits forests on the first two arguments and scores them on the last two.

    Args:
      codes, factors: at least one of each, all [N]; integers from 0 are a category, floats numbers.
      test_codes, test_factors: the same for other examples, all [M].

    Raises:
      ValueError: if one has not N or M values, or a factor is constant in the test set.
    """
    check_variables(codes, factors)
    check_variables(test_codes, test_factors)
    for j, factor in enumerate(test_factors):
        if (factor == factor[0]).all():
            raise ValueError(f"factor {j} has one value only in the test set")
    values = [
        int(max(a.max(), b.max())) + 1 if is_categorical(a) else 1
        for a, b in zip(codes, test_codes, strict=True)
    ]
    inputs, test_inputs = (
        np.concatenate([columns(x, n) for x, n in zip(variables, values, strict=True)], axis=1)
        for variables in (codes, test_codes)
    )
    owner = np.repeat(np.arange(len(codes)), values)
    predicted = np.zeros(len(factors))
    importance = np.zeros((len(codes), len(factors)))
    for j, (factor, truth) in enumerate(zip(factors, test_factors, strict=True)):
        weights, predicted[j] = _forest(inputs, factor, test_inputs, truth)
        np.add.at(importance[:, j], owner, weights * max(predicted[j], 0))
    disentanglement, completeness = _concentration(importance), _concentration(importance.T)
    return DCI(disentanglement, completeness, float(predicted.mean()), predicted, importance)


def _forest(
    inputs: np.ndarray, factor: np.ndarray, test_inputs: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, float]:
    """The importance of each input column, and S on the test examples."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    categorical = is_categorical(factor)
    kind = RandomForestClassifier if categorical else RandomForestRegressor
    forest = kind(TREES, min_samples_leaf=LEAF, max_features=1.0, random_state=0)
    prediction = forest.fit(inputs, factor).predict(test_inputs)
    if categorical:
        accuracy = np.mean(prediction == truth)
        guess = np.unique(truth, return_counts=True)[1].max() / len(truth)
        score = (accuracy - guess) / (1 - guess)
    else:
        score = r_squared(prediction, truth)
    return forest.feature_importances_, float(score)


def _concentration(importance: np.ndarray) -> float:
    """1 - each row's entropy to the base of its length, averaged with the rows' sums as weights; 0
    if all are 0."""
    weights = importance.sum(axis=1)
    if not weights.any():
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    rows = importance[weights > 0] / weights[weights > 0, None]
    entropies = -np.sum(rows * np.log(np.maximum(rows, 1e-300)), axis=1)
    concentrations = 1 - entropies / np.log(importance.shape[1])
    return float(np.average(concentrations, weights=weights[weights > 0]))
