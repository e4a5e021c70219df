"""Two uses of the nearest neighbour: labelled images as a training set, and a two-sample test.

1. The 1-NN test error. Source: Radford et al. 2016, section on class-conditional MNIST. A
nearest-neighbour classifier is fitted on labelled GENERATED images and read on the real test split:

    error = the share of test images whose nearest fitted image has another label

beside the same classifier fitted on the real training images. Protocol: pixels, Euclidean distance;
the paper fits 10 million samples of a conditional DCGAN, whose BatchNorm has neither scale nor
shift, and has 1.48 %, 5.65 % for the GAN it is compared with, and 3.1 % for the real data. The
error falls with the number of images fitted, which is therefore part of the figure (real MNIST:
3.09 % with all 60,000, 5.20 % with the first 10,000). Units: shares in [0, 1]; chance is
1 - 1 / classes.

2. The leave-one-out two-sample test. Source: Lopez-Paz and Oquab 2017 (a classifier's accuracy as a
two-sample statistic); Xu et al. 2018 (with 1-NN, leave-one-out, on GANs). Each of n real and n
generated examples is read as what its nearest neighbour among the other 2 n - 1 is:

    accuracy = the share of examples whose nearest neighbour comes from their own set

Protocol: as many of each, unseen real ones; pixels or features, which is to be said. Units: shares.
One distribution gives about 0.5, two that can be distinguished up to 1 (MNIST's test against its
validation images, which other writers wrote, 0.54 in the reference classifier's features); below
0.5 examples have a twin in the other set, and 0 is the set itself. The share of `real` is low where
generated images lie among the real ones; the share of `generated` is high where they lie close to
each other (collapse).
"""

from typing import NamedTuple

import numpy as np

from jaxgan.metrics.arrays import matrices


class TwoSampleAccuracy(NamedTuple):
    """The share of all, of real and of generated examples whose nearest is of their own set."""

    accuracy: float
    real: float
    generated: float


def nearest_neighbour_error(
    images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> float:
    """The test error of a 1-NN classifier, in [0, 1].

    Args:
      images, labels: what it is fitted on, [N, ...] of any number type and int [N].
      test_images, test_labels: what it is read on, [M, ...] and int [M].

    Raises:
      ValueError: if the shapes do not fit, or a set is empty.
    """
    from sklearn.neighbors import KNeighborsClassifier

    if labels.shape != images.shape[:1] or test_labels.shape != test_images.shape[:1]:
        raise ValueError(
            f"{labels.shape} labels of {images.shape} images,"
            f" {test_labels.shape} of {test_images.shape}"
        )
    fitted, read = matrices(images, test_images, dtype=np.float32)
    classifier = KNeighborsClassifier(1, algorithm="brute").fit(fitted, labels)
    return float(np.mean(classifier.predict(read) != test_labels))


def two_sample_accuracy(real: np.ndarray, generated: np.ndarray) -> TwoSampleAccuracy:
    """The leave-one-out accuracy of 1-NN at telling generated from real examples.

    Args:
      real, generated: images or features, [N, ...] each, as many of both.

    Raises:
      ValueError: if the shapes differ, or there is not one example of each.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(real) != len(generated):
        raise ValueError(f"{len(real)} real and {len(generated)} generated: chance is not 0.5")
    both = np.concatenate(matrices(real, generated, dtype=np.float32))
    # Called without points, it leaves each example itself out.
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(both).kneighbors()[1][:, 0]
    is_real = np.arange(len(both)) < len(real)
    right = is_real[nearest] == is_real
    return TwoSampleAccuracy(
        float(right.mean()), float(right[: len(real)].mean()), float(right[len(real) :].mean())
    )
