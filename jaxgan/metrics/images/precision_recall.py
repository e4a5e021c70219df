"""Precision and recall, density and coverage: fidelity and variety, separately.

Source: Kynkäänniemi et al. 2019, section 2 (improved precision and recall); Naeem et al. 2020,
section 3 (density and coverage). B(x) is the ball about x that reaches to the k-th nearest other
example of x's own set. With N real features r and M generated features g:

    precision = the share of g that lie in some B(r)          (drawn images that look real)
    recall    = the share of r that lie in some B(g)          (real images that could be drawn)
    density   = (1 / (k M)) sum over g of the number of B(r) that hold it
    coverage  = the share of r whose B(r) holds some g

Protocol: Euclidean distances of features; k = 3 for precision and recall, k = 5 for density and
coverage, as in the papers; as many generated as real images, for all four change with N and M. A
ball holds its surface (Naeem et al.'s code leaves it out, which shows only where examples repeat).
Of two sets from one distribution the expected density is 1 and the expected coverage
1 - (N - 1) ... (N - k) / ((M + N - 1) ... (M + N - k)) (Naeem et al.), whatever the distribution;
precision and recall have no such value, and one real outlier's wide ball can raise precision, so
hold them against real test and training images. Copies of the training set are the best there is to
all four. Units: shares in [0, 1]; density from 0 up, and above 1 where generated images crowd where
real ones are densest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

# MiB of distances at once; 10,000 x 10,000 in float64 would be 763.
_WORKING_MEMORY = 64


class PrecisionRecall(NamedTuple):
    """Two shares in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """`density` from 0 up; `coverage` in [0, 1]."""

    density: float
    coverage: float


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall.

    Args:
      real, generated: features, [N, F] and [M, F]; taken to float64.
      k: which nearest neighbour a ball reaches to.

    Raises:
      ValueError: if there are not more than k examples of each, the features' numbers differ, or
        one of them is not finite.
    """
    real, generated = _centred(real, generated, k)
    return PrecisionRecall(_share_inside(generated, real, k), _share_inside(real, generated, k))


def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> DensityCoverage:
    """Density and coverage; arguments and errors as in `precision_recall`."""
    real, generated = _centred(real, generated, k)
    balls = 0
    covered = np.zeros(len(real), bool)
    for block in _inside(generated, real, k):
        balls += int(np.count_nonzero(block))
        covered |= block.any(axis=0)
    return DensityCoverage(balls / (k * len(generated)), float(covered.mean()))


def _centred(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    if k < 1:
        raise ValueError(f"k must be at least 1: {k}")
    real, generated = matrices(real, generated, least=k + 1)
    # Distances come from |a|^2 + |b|^2 - 2 a.b, which has less to cancel about the mean.
    mean = real.mean(axis=0)
    return real - mean, generated - mean


def _inside(points: np.ndarray, centres: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """Which points (rows) lie in which centre's ball (columns): bool [block, centres] each."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres)
    # Called without points, it leaves each centre itself out.
    radii = neighbours.kneighbors()[0][:, -1]
    # What lies on the surface is inside however its distance was rounded.
    largest = max(np.square(x).sum(axis=1).max() for x in (points, centres))
    reach = np.sqrt(np.square(radii) + 1e-12 * largest)
    for block in pairwise_distances_chunked(points, centres, working_memory=_WORKING_MEMORY):
        yield block <= reach[None, :]


def _share_inside(points: np.ndarray, centres: np.ndarray, k: int) -> float:
    blocks = _inside(points, centres, k)
    return sum(int(np.count_nonzero(block.any(axis=1))) for block in blocks) / len(points)
