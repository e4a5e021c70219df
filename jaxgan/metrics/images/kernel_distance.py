"""The kernel distance between two sets of features: squared MMD with a cubic kernel.

Source: Gretton et al. 2012, eq. 3 (the unbiased estimate of the squared maximum mean discrepancy);
Bińkowski et al. 2018 (its use for GANs, with the kernel):

    k(x, y) = (x.y / F + 1)^3
    d = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

over n features x of real and n features y of generated images, F numbers each. It compares means,
covariances and third moments. Bińkowski et al. use Inception-v3's features and call the result KID;
values of different extractors are not comparable, so each result names its extractor.

Protocol: both sets are shuffled (seed stated) and cut into disjoint subsets of 1,000, or of a tenth
of fewer than 10,000; d is the mean over the B subsets, its standard error their standard deviation
(divided by B - 1) over sqrt(B). The authors' code draws overlapping subsets, with the same
expectation; only disjoint ones show how well the images at hand represent their source. Unlike a
Fréchet distance, the estimate is unbiased: its expectation does not depend on the number of images,
and for equal distributions it is 0, so that an estimate may be negative. It has the kernel's unit.
"""

from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

SUBSET = 1_000
SUBSETS = 10


class KernelDistance(NamedTuple):
    """`value` and its standard `error` over `subsets` subsets of `subset_size` images."""

    value: float
    error: float
    subsets: int
    subset_size: int


def kernel_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> KernelDistance:
    """The unbiased squared MMD, over disjoint subsets.

    Args:
      real, generated: features, [N, F] and [M, F]; as many of both are used.
      seed: seed of the shuffling.

    Raises:
      ValueError: as `matrices`, for fewer than 20 examples.
    """
    real, generated = matrices(real, generated, least=2 * SUBSETS)
    count = min(len(real), len(generated))
    size = min(SUBSET, count // SUBSETS)
    subsets = count // size
    generator = np.random.default_rng(seed)
    chosen = [generator.permutation(len(x))[: subsets * size] for x in (real, generated)]
    pairs = zip(*(np.split(indices, subsets) for indices in chosen), strict=True)
    values = [squared_mmd(real[i], generated[j]) for i, j in pairs]
    error = np.std(values, ddof=1) / np.sqrt(subsets)
    return KernelDistance(float(np.mean(values)), float(error), subsets, size)


def squared_mmd(real: np.ndarray, generated: np.ndarray) -> float:
    """The unbiased estimate on two whole sets, [N, F] and [M, F]; it may be negative.

    Raises:
      ValueError: as `matrices`, for fewer than 2 examples.
    """
    real, generated = matrices(real, generated, least=2)
    return _mean_of_pairs(real) + _mean_of_pairs(generated) - 2 * _kernel(real, generated).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T / x.shape[1] + 1
    return base * base * base


def _mean_of_pairs(x: np.ndarray) -> float:
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
