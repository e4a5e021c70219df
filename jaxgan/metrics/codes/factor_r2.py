"""How much of a continuous code is a known factor: R^2.

Source: the coefficient of determination of a least-squares fit, in closed form; InfoGAN's own paper
(Chen et al. 2016) only shows sheets in which one code turns and another widens the digits.

    a factor that is a number:    R^2 = corr(c, v)^2, of the straight line c = a + b v
    a factor that is a category:  R^2 = (variance of c's means over categories) / (variance of c),
                                  the correlation ratio

Protocol: c is the mean that Q reads off real images whose factors are known. The sign and the scale
of a code do not matter. What a straight line does not see (a code that turns one digit left and
another one right, or that goes up and down again) counts as nothing; dci's forests see it. A factor
that comes round to where it began (an angle of the full circle) would want its sine and cosine;
none of `glyphs` does. Units: 1, from 0 to 1; N unrelated images give 1 / N on the mean, and with K
categories (K - 1) / N.
"""

import numpy as np

from jaxgan.metrics.codes.variables import is_categorical


def factor_r2(code: np.ndarray, factor: np.ndarray) -> float:
    """R^2 of a code, float [N], and a factor, [N]: of integers a category, of floats a number.

    0 where one of them never changes.

    Raises:
      ValueError: if the shapes differ, or are not [N].
    """
    if code.shape != factor.shape or code.ndim != 1 or not len(code):
        raise ValueError(f"the code is {code.shape}, the factor {factor.shape}: both are to be [N]")
    away = code.astype(np.float64) - code.mean(dtype=np.float64)
    whole = np.square(away).sum()
    if whole == 0:
        return 0.0
    if is_categorical(factor):
        which = np.unique(factor, return_inverse=True)[1]
        counts = np.bincount(which)
        return float(np.sum(np.square(np.bincount(which, away)) / counts) / whole)
    other = factor.astype(np.float64) - factor.mean(dtype=np.float64)
    spread = np.square(other).sum()
    return float(np.square(away @ other) / (whole * spread)) if spread else 0.0
