"""Codes and factors as arrays [N]: integers are a category, floats a number."""

from collections.abc import Sequence

import numpy as np

BINS = 20


def is_categorical(variable: np.ndarray) -> bool:
    """Whether an array [N] holds categories rather than numbers."""
    return bool(np.issubdtype(variable.dtype, np.integer))


def discretised(variable: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bins as int64 [N] from 0: a category's index among those that occur, or a number's bin of
    equal width between the 0.1 % and 99.9 % quantiles (0 if all are equal). Values beyond fall into
    the outer bins; otherwise one outlier in 10,000 would squeeze all others into one bin."""
    if is_categorical(variable):
        return np.unique(variable, return_inverse=True)[1].astype(np.int64)
    low = np.quantile(variable, 0.001, method="lower")
    high = np.quantile(variable, 0.999, method="higher")
    if low == high:
        low, high = variable.min(), variable.max()
    if low == high:
        return np.zeros(len(variable), np.int64)
    positions = (variable.astype(np.float64) - low) / (float(high) - float(low)) * bins
    return np.clip(np.floor(positions), 0, bins - 1).astype(np.int64)


def columns(variable: np.ndarray, values: int) -> np.ndarray:
    """A category in [0, values) one-hot, float64 [N, values]; a number as a column, [N, 1]."""
    if not is_categorical(variable):
        return variable.astype(np.float64)[:, None]
    return np.eye(values)[variable]


def variance(variable: np.ndarray) -> float:
    """A number's variance; for a category 1 - sum p^2, the sum of its one-hot variances."""
    if not is_categorical(variable):
        return float(np.var(variable.astype(np.float64)))
    shares = np.unique(variable, return_counts=True)[1] / len(variable)
    return float(1 - np.square(shares).sum())


def check_variables(codes: Sequence[np.ndarray], factors: Sequence[np.ndarray]) -> None:
    """Raises ValueError unless there are codes and factors, each [N] with one N above 0."""
    if not codes or not factors:
        raise ValueError(f"{len(codes)} codes and {len(factors)} factors: at least one of each")
    shapes = {variable.shape for variable in (*codes, *factors)}
    if len(shapes) > 1 or len(codes[0].shape) != 1 or not len(codes[0]):
        raise ValueError(f"codes and factors are {sorted(shapes)}: all must be [N]")
