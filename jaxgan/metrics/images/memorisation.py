"""C_T: are generated images closer to the training images than unseen real images are?

Source: Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models".
With the distance d(x) from x to the nearest training image, and cells from k-means on the training
images, the statistic is

    C_T = sum_cells p(cell) z(cell) / sum_cells p(cell)

where p is the fraction of test images in a cell and z the normalised Mann-Whitney (Wilcoxon rank
sum) statistic of d over the cell's m generated and n test images:

    z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12),    U = #{d(generated) > d(test)} + #{equal} / 2

C_T << 0 means copying: generated images are closer to the training images than unseen real ones. At
about 0 they are as close; above 0 they are farther away (unlike the data). Unit: standard
deviations. If both sets have one distribution, z is standard normal and C_T's standard deviation is
at most 1, so -3 is no accident. C_T grows with the square root of the number of images, which is
therefore reported; `closer` does not.

Protocol: all training images, all (at most 10,000) test images, as many generated ones; Euclidean
distances of pixels or features (stated; a network that has seen the training images has seen
neither of the compared sets, so both are fair); 10 cells (seed stated), so that bad images of one
kind do not hide copies of another; only cells with at least 20 test and 20 generated images count,
and `covered` is the fraction of test images in them. d is the distance to all training images; in
the authors' code, to those of the same cell. The baseline is not 0 if the splits differ: MNIST's
validation images, by the training images' writers, have C_T -0.5 and z -2.3 in pixels. A GAN that
repeats one new image passes this test: see recall and coverage.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

# Minimum number of test and of generated images for a cell to count.
MIN_IMAGES_PER_CELL = 20


class Nearest(NamedTuple):
    """The k nearest training images of each image, nearest first: `distances`, float64 [N, k], and
    their indices `places`, int64 [N, k]."""

    distances: np.ndarray
    places: np.ndarray


class CopyingResult(NamedTuple):
    """Result of a `CopyingTest`.

    Attributes:
      statistic: C_T in standard deviations, below 0 for copying; `z` if no cell counts.
      z: the same with all images in one cell.
      closer: fraction of (generated, test) pairs whose generated image is closer to its nearest
        training image; 0.5 without copying, 1 for copies.
      cells: number of cells that count.
      covered: fraction of the test images in them.
    """

    statistic: float
    z: float
    closer: float
    cells: int
    covered: float


def nearest_training(train: np.ndarray, images: np.ndarray, k: int = 1) -> Nearest:
    """The k nearest training images of each image, by Euclidean distance.

    Args:
      train, images: images or features, [T, ...] and [N, ...]; converted to float32, the distances
        computed in float64.
      k: number of neighbours.

    Raises:
      ValueError: if the shapes do not match, or there are fewer than k training images.
    """
    from sklearn.neighbors import NearestNeighbors

    train, images = matrices(train, images, dtype=np.float32)
    if not 1 <= k <= len(train):
        raise ValueError(f"{k} nearest of {len(train)} training images")
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train)
    distances, indices = neighbours.kneighbors(images)
    return Nearest(distances.astype(np.float64), indices)


class CopyingTest:
    """Training and test images, prepared once for testing any number of generators.

    Args:
      train, test: images or features, [T, ...] and [N, ...].
      cells: number of k-means cells; 1 is the plain Mann-Whitney test.
      seed: seed of k-means.

    Raises:
      ValueError: if the shapes do not match, a set is empty, or there are fewer training images
        than cells.
    """

    def __init__(self, train: np.ndarray, test: np.ndarray, cells: int = 10, seed: int = 0) -> None:
        self._train, test = matrices(train, test, dtype=np.float32)
        if not 1 <= cells <= len(train):
            raise ValueError(f"{cells} cells of {len(train)} training images")
        self._cells = cells
        self._cell_of = _cell_function(self._train, cells, seed)
        self._test_distances = nearest_training(self._train, test).distances[:, 0]
        self._test_cells = self._cell_of(test)

    def of(self, generated: np.ndarray) -> CopyingResult:
        """Tests generated images or features, [M, ...].

        Raises:
          ValueError: if their shape does not match, or there are none.
        """
        train, generated = matrices(self._train, generated, dtype=np.float32)
        distances = nearest_training(train, generated).distances[:, 0]
        cells = self._cell_of(generated)
        z, counts = [], []
        for cell in range(self._cells):
            ours, theirs = distances[cells == cell], self._test_distances[self._test_cells == cell]
            if min(len(ours), len(theirs)) >= MIN_IMAGES_PER_CELL:
                z.append(rank_statistic(ours, theirs))
                counts.append(len(theirs))
        whole = rank_statistic(distances, self._test_distances)
        return CopyingResult(
            statistic=float(np.average(z, weights=counts)) if z else whole,
            z=whole,
            closer=_closer(distances, self._test_distances),
            cells=len(z),
            covered=sum(counts) / len(self._test_distances),
        )


def rank_statistic(generated: np.ndarray, test: np.ndarray) -> float:
    """The normalised Mann-Whitney statistic of two sets of distances, [M] and [N]: below 0 if the
    generated ones are smaller. Ties count half; the standard deviation is not corrected for them,
    so it is rather too large."""
    from scipy.stats import ranksums

    return float(ranksums(generated, test).statistic)


def _closer(generated: np.ndarray, test: np.ndarray) -> float:
    from scipy.stats import mannwhitneyu

    wins = mannwhitneyu(test, generated, method="asymptotic").statistic
    return float(wins / (len(generated) * len(test)))


def _cell_function(train: np.ndarray, cells: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images, [N, F], to the cell of each, int [N]."""
    from sklearn.cluster import KMeans

    if cells == 1:
        return lambda images: np.zeros(len(images), int)
    predict: Callable[[np.ndarray], np.ndarray]
    predict = KMeans(cells, n_init=1, random_state=seed).fit(train).predict
    return predict
