"""R^2 between a continuous code and a known factor.

Source: the coefficient of determination of a least-squares fit, in closed form; InfoGAN's paper
(Chen et al. 2016) only shows sample sheets in which one code rotates and another widens the digits.

    numeric factor:      R^2 = corr(c, v)^2, of the straight line c = a + b v
    categorical factor:  R^2 = (variance of c's means over the categories) / (variance of c), the
                         correlation ratio

Protocol: c is the mean of Q(c | x) on real images with known factors. The sign and scale of a code
do not matter. Relations that a straight line misses (a code that rotates one digit left and another
right, or that rises and falls) count as nothing; the forests of `dci` find them. A periodic factor
(a full circle's angle) would need its sine and cosine; none of `glyphs` is one. Unitless, in
[0, 1]; N unrelated images give 1 / N on average, and (K - 1) / N for K categories.
"""

import numpy as np

from jaxgan.metrics.codes.variables import is_categorical


def factor_r2(code: np.ndarray, factor: np.ndarray) -> float:
    """R^2 of a code, float [N], and a factor, [N]: integers are a category, floats a number.

    0 if one of them is constant.

    Raises:
      ValueError: if the shapes differ or are not [N].
    """
    if code.shape != factor.shape or code.ndim != 1 or not len(code):
        raise ValueError(f"the code is {code.shape}, the factor {factor.shape}: both must be [N]")
    centred = code.astype(np.float64) - code.mean(dtype=np.float64)
    total = np.square(centred).sum()
    if total == 0:
        return 0.0
    if is_categorical(factor):
        category = np.unique(factor, return_inverse=True)[1]
        counts = np.bincount(category)
        return float(np.sum(np.square(np.bincount(category, centred)) / counts) / total)
    other = factor.astype(np.float64) - factor.mean(dtype=np.float64)
    variation = np.square(other).sum()
    return float(np.square(centred @ other) / (total * variation)) if variation else 0.0
