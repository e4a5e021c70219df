"""The mutual information gap (MIG): whether a single code captures each factor.

Source: Chen et al. 2018 (beta-TCVAE), eq. 6, estimated as in Locatello et al. 2019. With the codes
c_j, the factors v_k, and the code j(k) with the most information about v_k,

    MIG = (1 / K) sum_k (I(c_j(k); v_k) - max_{j != j(k)} I(c_j; v_k)) / H(v_k)

Protocol: each code's predicted mean (or most likely value) instead of samples, in 20 bins of equal
width; numeric factors are binned alike (in the papers they lie on grids); plug-in estimates from a
contingency table, which noise raises by about (bins - 1)^2 / 2N: 0.02 nats for 10,000 images. A
single code's gap is all its information. Unitless, in [0, 1]; MIG cannot reach 1 with fewer codes
than factors, so the gap of each factor is reported as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.codes.variables import BINS, check_variables, discretised


class InformationGap(NamedTuple):
    """`score` is the mean of `gaps`, float64 [K]; `shares`, float64 [D, K], is the fraction of each
    factor's entropy that each code explains."""

    score: float
    gaps: np.ndarray
    shares: np.ndarray


def mutual_information_gap(
    codes: Sequence[np.ndarray], factors: Sequence[np.ndarray], bins: int = BINS
) -> InformationGap:
    """The gap of each factor, and their mean.

    Args:
      codes, factors: at least one of each, all [N]; integers are a category, floats a number.
      bins: number of bins for numbers.

    Raises:
      ValueError: if one has not N values, or a factor is constant.
    """
    check_variables(codes, factors)
    code_bins = [discretised(code, bins) for code in codes]
    factor_bins = [discretised(factor, bins) for factor in factors]
    entropies = np.array([mutual_information(factor, factor) for factor in factor_bins])
    if not entropies.all():
        raise ValueError(f"factor {int(entropies.argmin())} has one value only")
    information = [
        [mutual_information(code, factor) for factor in factor_bins] for code in code_bins
    ]
    shares = np.array(information) / entropies
    first, second = np.sort(np.vstack([np.zeros_like(entropies), shares]), axis=0)[[-1, -2]]
    return InformationGap(float(np.mean(first - second)), first - second, shares)


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """I(one; other) >= 0 of two int [N], in nats. I(x; x) = H(x)."""
    from sklearn.metrics import mutual_info_score

    return float(mutual_info_score(one, other))
