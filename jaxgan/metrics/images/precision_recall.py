"""Precision and recall, density and coverage: fidelity and diversity, separately.

Source: Kynkäänniemi et al. 2019, section 2 (improved precision and recall); Naeem et al. 2020,
section 3 (density and coverage). B(x) is the ball around x whose radius is the distance to the k-th
nearest other example of x's own set. For N real features r and M generated features g:

    precision = the fraction of g inside some B(r)     (generated images that look real)
    recall    = the fraction of r inside some B(g)     (real images that could be generated)
    density   = (1 / (k M)) sum over g of the number of B(r) that contain it
    coverage  = the fraction of r whose B(r) contains some g

Protocol: Euclidean distances of features; k = 3 for precision and recall, k = 5 for density and
coverage, as in the papers; as many generated as real images, because all four change with N and M.
Balls are closed (open in Naeem et al.'s code, which differs only if examples repeat). For two sets
from one distribution the expected density is 1 and the expected coverage
1 - (N - 1) ... (N - k) / ((M + N - 1) ... (M + N - k)), whatever the distribution (Naeem et al.).
Precision and recall have no such value, and the large ball of one real outlier can raise precision:
compare them with those of real test against training images. Copies of the training set score as
well as real images on all four. Fractions in [0, 1]; density is at least 0, and above 1 if
generated images crowd where real ones are densest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

# MiB of distances per block; 10,000 x 10,000 in float64 would be 763.
_WORKING_MEMORY = 64


class PrecisionRecall(NamedTuple):
    """Two fractions in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """`density` is at least 0; `coverage` is in [0, 1]."""

    density: float
    coverage: float


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall.

    Args:
      real, generated: features, [N, F] and [M, F]; converted to float64.
      k: the nearest neighbour whose distance is a ball's radius.

    Raises:
      ValueError: as `matrices`, for fewer than k + 1 examples of each.
    """
    real, generated = _centred(real, generated, k)
    return PrecisionRecall(
        _fraction_inside(generated, real, k), _fraction_inside(real, generated, k)
    )


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
    # Centred, the |a|^2 + |b|^2 - 2 a.b of a distance cancels less.
    mean = real.mean(axis=0)
    return real - mean, generated - mean


def _inside(points: np.ndarray, centres: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """Whether each point (row) lies in each centre's ball (column), in blocks [block, centres]."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres)
    # Without an argument, `kneighbors` excludes each centre itself.
    radii = neighbours.kneighbors()[0][:, -1]
    # A margin keeps points on the surface inside, however their distance is rounded.
    largest = max(np.square(x).sum(axis=1).max() for x in (points, centres))
    reach = np.sqrt(np.square(radii) + 1e-12 * largest)
    for block in pairwise_distances_chunked(points, centres, working_memory=_WORKING_MEMORY):
        yield block <= reach[None, :]


def _fraction_inside(points: np.ndarray, centres: np.ndarray, k: int) -> float:
    blocks = _inside(points, centres, k)
    return sum(int(np.count_nonzero(block.any(axis=1))) for block in blocks) / len(points)
