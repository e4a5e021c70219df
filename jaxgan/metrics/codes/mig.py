"""The mutual information gap: whether each factor is captured by a single code.

Source: Chen et al. 2018 (beta-TCVAE), equation 6; estimated as Locatello et al. 2019 do. With the
codes c_j, the factors v_k, and j(k) the code that tells most of v_k,

    MIG = (1 / K) sum_k (I(c_j(k); v_k) - max_{j != j(k)} I(c_j; v_k)) / H(v_k)

Protocol: the mean (or the likeliest value) that the reader gives of each code, in 20 bins of equal
width, instead of samples of it; factors that are numbers in as many bins, because theirs are grids;
plug-in estimates from a table of counts, in nats, which noise raises by some (bins - 1)^2 / 2N:
0.02 nats at 10,000 images. A single code has no second: its gap is all it tells. Units: 1, from 0
to 1; with fewer codes than factors it cannot be 1, so the gap of each factor is given as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.codes.code_accuracy import contingency
from jaxgan.metrics.codes.variables import BINS, discretised


class InformationGap(NamedTuple):
    """The measure: `score` is the mean of `gaps`, float64 [K]; `shares`, float64 [D, K], is the
    part of each factor's entropy that each code tells."""

    score: float
    gaps: np.ndarray
    shares: np.ndarray


def mutual_information_gap(
    codes: Sequence[np.ndarray], factors: Sequence[np.ndarray], bins: int = BINS
) -> InformationGap:
    """The gap of each factor, and their mean.

    Args:
      codes, factors: at least one each, all [N]; of integers a category, of floats a number.
      bins: for numbers.

    Raises:
      ValueError: if one has not N values, or a factor never changes.
    """
    check(codes, factors)
    read = [discretised(code, bins) for code in codes]
    truth = [discretised(factor, bins) for factor in factors]
    entropies = np.array([mutual_information(factor, factor) for factor in truth])
    if not entropies.all():
        raise ValueError(f"factor {int(entropies.argmin())} has one value only")
    information = np.array(
        [[mutual_information(code, factor) for factor in truth] for code in read]
    )
    shares = information / entropies
    first, second = np.sort(np.vstack([np.zeros_like(entropies), shares]), axis=0)[[-1, -2]]
    return InformationGap(float(np.mean(first - second)), first - second, shares)


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """I(one; other) from the counts of two int [N], from 0 up, in nats; of one with itself its
    entropy."""
    joint = contingency(one, other, int(one.max()) + 1, int(other.max()) + 1) / len(one)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    met = joint > 0
    return max(float(np.sum(joint[met] * np.log(joint[met] / apart[met]))), 0.0)


def check(codes: Sequence[np.ndarray], factors: Sequence[np.ndarray]) -> None:
    """Raises ValueError unless there are codes and factors, each [N] with one N above 0."""
    if not codes or not factors:
        raise ValueError(f"{len(codes)} codes and {len(factors)} factors: at least one of each")
    shapes = {variable.shape for variable in (*codes, *factors)}
    if len(shapes) > 1 or len(codes[0].shape) != 1 or not len(codes[0]):
        raise ValueError(f"codes and factors are {sorted(shapes)}: all are to be [N]")
