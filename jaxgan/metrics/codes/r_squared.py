"""R^2 of the prediction of a continuous code, as scikit-learn's r2_score.

With the code c_i from which image i was generated, and the mean m_i of Q(c | x_i),

    R^2 = 1 - sum_i (c_i - m_i)^2 / sum_i (c_i - mean of c)^2

Protocol: generated images from the evaluation's PRNG stream. Unitless, at most 1; predicting the
mean of c gives 0.
"""

import numpy as np


def r_squared(prediction: np.ndarray, value: np.ndarray) -> float:
    """R^2 of `prediction` for the true codes `value`, both [N]."""
    residual = np.sum(np.square(value - prediction))
    return float(1 - residual / np.sum(np.square(value - value.mean())))
