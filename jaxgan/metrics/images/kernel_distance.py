"""The kernel distance between two sets of features: squared MMD with a cubic kernel.

Source: Gretton et al. 2012, equation 3 (the unbiased estimate of the squared maximum mean
discrepancy); Bińkowski et al. 2018 (its use for GANs, with the kernel):

    k(x, y) = (x.y / F + 1)^3
    d = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

over n features x of real and n features y of generated images, F numbers each. It compares means,
covariances and third moments. Bińkowski et al. take the features from Inception-v3 and call the
result KID. Here they may come from another extractor, which is always named beside the figure:
numbers of two extractors cannot be compared.

Protocol: both sets are shuffled (seed stated) and cut into disjoint subsets of 1,000, or of a tenth
where there are fewer than 10,000; d is the mean over the subsets, and the standard error their
deviation (by B - 1) over sqrt(B). The authors' code draws overlapping subsets of 1,000, with the
same expectation, whose spread does not say how well the images at hand stand for their source; that
of disjoint ones does. Unlike a Fréchet distance the estimate has no bias, so that its expectation
does not hang on the number of images; equal distributions give 0 on the mean, and as often less
as more. Units: none of its own (the kernel's); say the extractor.
"""

from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

SUBSET = 1_000
SUBSETS = 10


class KernelDistance(NamedTuple):
    """`value` and its standard `error`, over so many `subsets` of so many images each."""

    value: float
    error: float
    subsets: int
    subset_size: int


def kernel_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> KernelDistance:
    """The unbiased squared MMD, over disjoint subsets.

    Args:
      real, generated: features, [N, F] and [M, F]; the larger set gives as many as the smaller.
      seed: of the shuffling.

    Raises:
      ValueError: if there are fewer than 20 examples, the features' numbers differ, or one of them
        is not finite.
    """
    real, generated = matrices(real, generated, least=2 * SUBSETS)
    count = min(len(real), len(generated))
    size = min(SUBSET, count // SUBSETS)
    subsets = count // size
    generator = np.random.default_rng(seed)
    places = [generator.permutation(len(x))[: subsets * size] for x in (real, generated)]
    pairs = zip(*(np.split(place, subsets) for place in places), strict=True)
    values = [squared_mmd(real[i], generated[j]) for i, j in pairs]
    error = np.std(values, ddof=1) / np.sqrt(subsets)
    return KernelDistance(float(np.mean(values)), float(error), subsets, size)


def squared_mmd(real: np.ndarray, generated: np.ndarray) -> float:
    """The unbiased estimate on the whole of two sets, [N, F] and [M, F], at once; below 0 at times.

    Raises:
      ValueError: as `kernel_distance`, for fewer than 2 examples.
    """
    real, generated = matrices(real, generated, least=2)
    return _mean_of_pairs(real) + _mean_of_pairs(generated) - 2 * _kernel(real, generated).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T / x.shape[1] + 1
    return base * base * base


def _mean_of_pairs(x: np.ndarray) -> float:
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
