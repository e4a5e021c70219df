"""How far apart two images are on average: does a generator make different images?

A generator that has collapsed makes nearly the same image from every noise, and one that ignores
its noise makes one image of each label. With D values in [0, 1] per image,

    distance(x, y) = sqrt( (1 / D) sum_i (x_i - y_i)^2 )

is the Euclidean distance divided by sqrt(D), so that its scale does not depend on the image's size.
The metric is the mean over random pairs of different images; with labels both images of a pair have
the same label, and the mean of each label counts equally. It is the cheap relative of the MS-SSIM
between images of one class (Odena et al. 2017, section 4.2).

Protocol: the images are shuffled (seed stated), sorted by label where there are labels, and each is
paired with the next; so N images give at most N - 1 pairs, and each image is in at most two. The
reference is the same of as many real images. Unit: the range of a pixel, so 0 means equal images
and 1 a black and a white one. Noise differs from noise, too: a value near the reference does not
mean that the images are good.
"""

import numpy as np

# Differences computed at once, in bytes of float32: the images of a set need not fit twice.
_BLOCK_BYTES = 2**24


def pairwise_distance(images: np.ndarray, labels: np.ndarray | None = None, seed: int = 0) -> float:
    """The mean distance of two images, of the same label if there are labels.

    Args:
      images: uint8 [N, ...].
      labels: int [N], or None.
      seed: seed of the shuffling.

    Returns:
      In [0, 1]; NaN if there is no pair.

    Raises:
      ValueError: if the images are not uint8, or the numbers of images and labels differ.
    """
    if images.dtype != np.uint8 or (labels is not None and labels.shape != images.shape[:1]):
        shape = None if labels is None else labels.shape
        raise ValueError(f"images are {images.dtype} {images.shape}, not uint8; labels {shape}")
    labels = np.zeros(len(images), int) if labels is None else labels
    order = np.random.default_rng(seed).permutation(len(images))
    order = order[np.argsort(labels[order], kind="stable")]
    same = labels[order[:-1]] == labels[order[1:]]
    first, second = order[:-1][same], order[1:][same]
    if not len(first):
        return float("nan")
    distances = _distances(images.reshape(len(images), -1), first, second)
    of_label = labels[first]
    return float(np.mean([distances[of_label == label].mean() for label in np.unique(of_label)]))


def _distances(images: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The distance of each pair of rows of uint8 [N, D], float64 [pairs]."""
    size = max(1, _BLOCK_BYTES // (4 * images.shape[1]))
    squared = []
    for start in range(0, len(first), size):
        block = slice(start, start + size)
        difference = images[first[block]].astype(np.float32) - images[second[block]]
        squared.append(np.einsum("ij,ij->i", difference, difference, dtype=np.float64))
    return np.asarray(np.sqrt(np.concatenate(squared) / images.shape[1]) / 255)
