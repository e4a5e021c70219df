"""The class score: is each image classified with certainty, and are all classes equally frequent?

Source: Salimans et al. 2016, section 4:

    exp( (1 / N) sum_i KL(p(y | x_i) || p(y)) ),    p(y) = (1 / N) sum_i p(y | x_i)

Its logarithm is the information between image and class, in nats. Salimans et al. classify with
Inception-v3 and call it the Inception score; here the dataset's reference classifier predicts the
classes and is named with each result, so none of these is an Inception score.

Protocol: images are shuffled (seed stated; generated ones are ordered by label) and cut into 10
splits; the score is the mean over the splits, reported with its standard deviation (divided by
their number, as in the authors' code). The paper has 50,000 images. The score rises with the size
of a split, which is therefore reported, as does that of real images. Unit: classes, from 1 to their
number K. The score sees no real image: one sharp image of each class, or the training set itself,
gets the best score.
"""

from typing import NamedTuple

import numpy as np

# Tolerance of a row's sum, which should be 1.
_TOLERANCE = 1e-3


class ClassScore(NamedTuple):
    """Mean and standard deviation over `splits` parts; the smallest has `split_size` images."""

    value: float
    deviation: float
    splits: int
    split_size: int


def class_score(probabilities: np.ndarray, splits: int = 10, seed: int = 0) -> ClassScore:
    """The score of generated (or real) images from their class probabilities.

    Args:
      probabilities: p(y | x) of each image, [N, K]; converted to float64.
      splits: number of parts into which the images are cut.
      seed: seed of the shuffling.

    Raises:
      ValueError: if the rows are not probabilities, or there are fewer images than splits.
    """
    p = probabilities.astype(np.float64)
    if p.ndim != 2 or p.shape[1] < 1 or not 1 <= splits <= len(p):
        raise ValueError(f"probabilities are {p.shape}, not [N, K], for {splits} splits")
    # `not` a conjunction, so that NaN fails too.
    if not (p.min() >= 0 and np.abs(p.sum(axis=1) - 1).max() < _TOLERANCE):
        raise ValueError("a row of probabilities is negative or does not sum to 1")
    parts = np.array_split(np.random.default_rng(seed).permutation(p), splits)
    scores = [_score(part) for part in parts]
    return ClassScore(float(np.mean(scores)), float(np.std(scores)), splits, len(parts[-1]))


def _score(p: np.ndarray) -> float:
    from scipy.special import rel_entr

    return float(np.exp(rel_entr(p, p.mean(axis=0, keepdims=True)).sum(axis=1).mean()))
