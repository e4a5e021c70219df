"""Codes and factors as the measures of disentanglement see them: an array for each, [N]; one of
integers is a category (counted from 0, or any other way), one of floats a number."""

import numpy as np

BINS = 20


def is_categorical(variable: np.ndarray) -> bool:
    """Whether [N] is a category of each example, and not a number."""
    return bool(np.issubdtype(variable.dtype, np.integer))


def discretised(variable: np.ndarray, bins: int = BINS) -> np.ndarray:
    """int64 [N] from 0: a category's place among those that occur, or a number's bin among `bins`
    of equal width between the smallest and the largest thousandth (0 where all are equal); what is
    beyond is in the outer bins, for one stray reading in 10,000 would press all others into one."""
    if is_categorical(variable):
        return np.unique(variable, return_inverse=True)[1].astype(np.int64)
    low = np.quantile(variable, 0.001, method="lower")
    high = np.quantile(variable, 0.999, method="higher")
    if low == high:
        low, high = variable.min(), variable.max()
    if low == high:
        return np.zeros(len(variable), np.int64)
    places = (variable.astype(np.float64) - low) / (float(high) - float(low)) * bins
    return np.clip(np.floor(places), 0, bins - 1).astype(np.int64)


def columns(variable: np.ndarray, values: int) -> np.ndarray:
    """float64 [N, values], one-hot, of a category in [0, values); [N, 1] of a number."""
    if not is_categorical(variable):
        return variable.astype(np.float64)[:, None]
    return np.eye(values)[variable]


def variance(variable: np.ndarray) -> float:
    """The variance of a number; of a category 1 - sum p^2, the sum of its one-hot variances."""
    if not is_categorical(variable):
        return float(np.var(variable.astype(np.float64)))
    shares = np.unique(variable, return_counts=True)[1] / len(variable)
    return float(1 - np.square(shares).sum())
