"""The score by classes: are single images read surely, and all of them as many classes?

Source: Salimans et al. 2016, section 4:

    exp( (1 / N) sum_i KL(p(y | x_i) || p(y)) ),    p(y) = (1 / N) sum_i p(y | x_i)

Its logarithm is the information between image and class, in nats. Salimans et al. read the classes
by Inception-v3 and call it the Inception score; here the reader is the dataset's reference
classifier, whose name and hash go beside the figure, so none of these is an Inception score.

Protocol: the images are shuffled (seed stated: generated ones come in the order of their labels)
and cut into 10 splits; the score is the mean over the splits and the deviation (divided by their
number, as in the authors' code) is reported too. The paper has 50,000 images; the score rises with
the size of a split, which is therefore part of the figure, and with it the score of real images.
Units: classes, from 1 to their number K. It never sees a real image: one sharp picture of each
class, or the training set itself, has the best score of all.
"""

from typing import NamedTuple

import numpy as np

# How far a row's sum may be from 1.
_TOLERANCE = 1e-3


class ClassScore(NamedTuple):
    """`value` and its `deviation` over so many `splits`, the smallest of `split_size` images."""

    value: float
    deviation: float
    splits: int
    split_size: int


def class_score(probabilities: np.ndarray, splits: int = 10, seed: int = 0) -> ClassScore:
    """The score of generated (or real) images from the probabilities of their classes.

    Args:
      probabilities: p(y | x) of each image, [N, K]; taken to float64.
      splits: how many parts the images are cut into.
      seed: of the shuffling.

    Raises:
      ValueError: if the rows are not probabilities, or there are fewer images than splits.
    """
    p = probabilities.astype(np.float64)
    if p.ndim != 2 or p.shape[1] < 1 or not 1 <= splits <= len(p):
        raise ValueError(f"probabilities are {p.shape}, not [N, K], for {splits} splits")
    # Said so that NaN is refused too.
    if not (p.min() >= 0 and np.abs(p.sum(axis=1) - 1).max() < _TOLERANCE):
        raise ValueError("a row of probabilities is negative or does not sum to 1")
    parts = np.array_split(np.random.default_rng(seed).permutation(p), splits)
    scores = [_score(part) for part in parts]
    return ClassScore(float(np.mean(scores)), float(np.std(scores)), splits, len(parts[-1]))


def _score(p: np.ndarray) -> float:
    from scipy.special import rel_entr

    return float(np.exp(rel_entr(p, p.mean(axis=0, keepdims=True)).sum(axis=1).mean()))
