"""Are generated images closer to the training images than unseen real ones are?

Source: Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models".
With d(x) the distance from x to the nearest training image, and the space cut into cells by k-means
on the training images, the statistic is

    C_T = sum_cells p(cell) z(cell) / sum_cells p(cell)

where p is the share of test images in a cell and z the normalised Mann-Whitney (Wilcoxon rank sum)
statistic of d over the cell's m generated and n test images:

    z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12),    U = #{d(generated) > d(test)} + #{equal} / 2

The sign: below 0, generated images are CLOSER to the training images than unseen real images are
(copying: C_T << 0); above 0 they are farther away (images that do not look like the data); about 0
they are as far as they should be. Units: standard deviations; where the two do not differ, z is a
standard normal and the deviation of C_T at most 1, so that -3 is no accident. It grows with the
root of the number of images, which is part of the figure; `closer` does not.

Protocol: all training images, all (at most 10,000) test images, as many generated ones; Euclidean
distances of pixels or of features, which is to be said (either is fair: a network that has seen the
training images has seen neither of the two that are compared); 10 cells (by a stated seed) so that
copies of one kind of image are not hidden by bad images of another; only cells with at least 20
test and 20 generated images count, and `covered` says how many test images are in them. The
authors' code takes d to the training images of the same cell; here it is to all of them. The floor
is not quite 0 where the splits differ: MNIST's validation images, written by the training images'
writers, have C_T -0.5 and z -2.3 in pixels when they stand for generated ones. A GAN may repeat one
new image for ever and not be found: see recall and coverage.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices

# Test and generated images that a cell must hold to count.
LEAST = 20


class Nearest(NamedTuple):
    """Of each image the k nearest training images, nearest first: `distances`, float64 [N, k], and
    `places` in the training set, int64 [N, k]."""

    distances: np.ndarray
    places: np.ndarray


class CopyingResult(NamedTuple):
    """What the distances say.

    Attributes:
      statistic: C_T, in deviations; below 0 is copying. Where no cell counts, it is `z`.
      z: the same with all images in one cell.
      closer: the share of (generated, test) pairs whose generated image is the closer one to its
        nearest training image; 0.5 is as it should be, 1 is copying.
      cells: how many count.
      covered: the share of test images in them.
    """

    statistic: float
    z: float
    closer: float
    cells: int
    covered: float


def nearest_training(train: np.ndarray, images: np.ndarray, k: int = 1) -> Nearest:
    """The k nearest training images of each image, by Euclidean distance, in blocks.

    Args:
      train, images: images or features, [T, ...] and [N, ...]; taken to float32, of which the
        distances are computed in float64.
      k: how many.

    Raises:
      ValueError: if the shapes do not fit, or there are not k training images.
    """
    from sklearn.neighbors import NearestNeighbors

    train, images = matrices(train, images, dtype=np.float32)
    if not 1 <= k <= len(train):
        raise ValueError(f"{k} nearest of {len(train)} training images")
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train)
    distances, places = neighbours.kneighbors(images)
    return Nearest(distances.astype(np.float64), places)


class CopyingTest:
    """What generated images are held against: made once, for any number of generators.

    Args:
      train, test: images or features, [T, ...] and [N, ...].
      cells: of k-means on the training images; 1 is the plain Mann-Whitney test.
      seed: of k-means.

    Raises:
      ValueError: if the shapes do not fit, a set is empty, or there are not as many training images
        as cells.
    """

    def __init__(self, train: np.ndarray, test: np.ndarray, cells: int = 10, seed: int = 0) -> None:
        self._train, test = matrices(train, test, dtype=np.float32)
        if not 1 <= cells <= len(train):
            raise ValueError(f"{cells} cells of {len(train)} training images")
        self._cells = cells
        self._home = _homes(self._train, cells, seed)
        self._of_test = nearest_training(self._train, test).distances[:, 0]
        self._home_of_test = self._home(test)

    def of(self, generated: np.ndarray) -> CopyingResult:
        """Meehan et al.'s C_T of generated images or features, [M, ...], and what goes with it.

        Raises:
          ValueError: if their shape does not fit, or there are none.
        """
        train, generated = matrices(self._train, generated, dtype=np.float32)
        of_generated = nearest_training(train, generated).distances[:, 0]
        home = self._home(generated)
        z, counts = [], []
        for cell in range(self._cells):
            ours, theirs = of_generated[home == cell], self._of_test[self._home_of_test == cell]
            if min(len(ours), len(theirs)) >= LEAST:
                z.append(rank_statistic(ours, theirs))
                counts.append(len(theirs))
        whole = rank_statistic(of_generated, self._of_test)
        return CopyingResult(
            statistic=float(np.average(z, weights=counts)) if z else whole,
            z=whole,
            closer=_closer(of_generated, self._of_test),
            cells=len(z),
            covered=sum(counts) / len(self._of_test),
        )


def memorisation(
    train: np.ndarray, test: np.ndarray, generated: np.ndarray, cells: int = 10, seed: int = 0
) -> CopyingResult:
    """Meehan et al.'s C_T of one set of generated images; arguments and errors as in `Memory`."""
    return CopyingTest(train, test, cells, seed).of(generated)


def rank_statistic(generated: np.ndarray, test: np.ndarray) -> float:
    """The normalised Mann-Whitney statistic of two sets of distances, [M] and [N]: below 0 where
    the generated ones are smaller. Ties count half, and the deviation is left uncorrected for them,
    which makes it too large rather than too small."""
    from scipy.stats import ranksums

    return float(ranksums(generated, test).statistic)


def _closer(generated: np.ndarray, test: np.ndarray) -> float:
    from scipy.stats import mannwhitneyu

    wins = mannwhitneyu(test, generated, method="asymptotic").statistic
    return float(wins / (len(generated) * len(test)))


def _homes(train: np.ndarray, cells: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function from images, [N, F], to the cell of each, int [N]."""
    from sklearn.cluster import KMeans

    if cells == 1:
        return lambda images: np.zeros(len(images), int)
    predict: Callable[[np.ndarray], np.ndarray]
    predict = KMeans(cells, n_init=1, random_state=seed).fit(train).predict
    return predict
