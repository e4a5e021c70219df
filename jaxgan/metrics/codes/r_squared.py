"""How well a continuous code is read back: R^2, as scikit-learn's r2_score.

With c_i the code that image i was drawn from and m_i the mean of Q(c | x_i),

    R^2 = 1 - sum_i (c_i - m_i)^2 / sum_i (c_i - mean of c)^2

Protocol: generated images from the stream of evaluation. Units: a bare number, at most 1; 0 is what
the mean of c alone would reach.
"""

import numpy as np


def r_squared(prediction: np.ndarray, value: np.ndarray) -> float:
    """R^2 of what is read, `prediction`, against the code that was asked for, two [N]."""
    residual = np.sum(np.square(value - prediction))
    return float(1 - residual / np.sum(np.square(value - value.mean())))
