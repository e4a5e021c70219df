"""A categorical code as a classifier (Chen et al. 2016, section 7.2: 5 % error on MNIST).

The values of a code are numbered arbitrarily, so each is first matched to a class. With the
matching m and the code k_i = argmax Q(c | x_i) predicted for real image i of label y_i,

    accuracy = (1 / N) sum_i [m(k_i) = y_i]

Protocol: the paper states no matching rule. Here m is the one-to-one matching with the most
agreement on training images (Hungarian method), applied to the test split; the many-to-one
matching, each code to its most frequent class, is reported as well. BatchNorm is recalibrated on
training images. A fraction in [0, 1].
"""

import numpy as np


def contingency(codes: np.ndarray, labels: np.ndarray, values: int, classes: int) -> np.ndarray:
    """How often each code occurs with each label: int [values, classes] from two int [N]."""
    counts = np.zeros((values, classes), np.int64)
    np.add.at(counts, (codes, labels), 1)
    return counts


def match_one_to_one(counts: np.ndarray) -> np.ndarray:
    """The class of each code, no class twice, with the most agreement (Hungarian method).

    Args:
      counts: [values, classes], from `contingency`.

    Returns:
      int [values]; -1 for unmatched codes if there are more codes than classes.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-counts)
    matching = np.full(counts.shape[0], -1, np.int64)
    matching[rows] = columns
    return matching


def match_many_to_one(counts: np.ndarray) -> np.ndarray:
    """The most frequent class of each code, int [values]; several codes may share one."""
    return counts.argmax(axis=1)


def code_accuracy(matching: np.ndarray, codes: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of examples whose code is matched to their label, in [0, 1]."""
    return float(np.mean(matching[codes] == labels))
