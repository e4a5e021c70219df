"""A linear classifier on the features of a trained discriminator's convolutions.

Source: Radford et al. 2016, section 5.1: the activations of all convolutions of the discriminator,
each map max-pooled to 4x4, flattened and concatenated, classify unseen images through a linear
L2-SVM. A discriminator trained on ImageNet-1k reaches 82.8 % on CIFAR-10, and 22.48 % error with
1,000 labels of SVHN (section 5.2). For each class against the rest, an L2-SVM minimises

    (|w|^2 + b^2) / 2 + C sum_i max(0, 1 - y_i (w . x_i + b))^2

(as scikit-learn's LinearSVC does; the usual form does not penalise b), by `newton_svm.py`.

Protocol: a layer's activations are the next layer's input: after BatchNorm (recalibrated on
training images), activation and the network's own pooling, without dropout. The pooling is
adaptive: a side of H is cut at i H / 4, a pixel on a cut belongs to both windows, and smaller maps
are kept. Features are standardised on the training images and divided by the square root of their
number, so that one range of C suits all of them. C is chosen on a fifth of the training images;
then all are fitted. Baselines: raw pixels, and an untrained discriminator of the same architecture.
The result is the fraction of test images classified correctly.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxgan.metrics.images.newton_svm import NewtonSvm

CS = (0.01, 0.1, 1.0, 10.0)


class Svm(NamedTuple):
    """A linear classifier of each class against the rest.

    Attributes:
      weights, bias: for unscaled features, float32 [K, F] and float64 [K]; K is 1 for two classes,
        with the score of the second.
      classes: int [2 or K].
      c: the chosen C.
    """

    weights: np.ndarray
    bias: np.ndarray
    classes: np.ndarray
    c: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The class of each example, int [N], from float [N, F]."""
        scores = features @ self.weights.T + self.bias
        best = scores.argmax(1) if len(self.weights) > 1 else (scores[:, 0] > 0).astype(int)
        return np.asarray(self.classes[best])


def _kept(labels: np.ndarray) -> int:
    """The number of examples that C is not chosen on."""
    return len(labels) - len(labels) // 5


def can_fit(labels: np.ndarray) -> bool:
    """Whether the examples that C is not chosen on show two classes."""
    return len(np.unique(labels[: _kept(labels)])) > 1


def fit_svm(features: np.ndarray, labels: np.ndarray, cs: tuple[float, ...] = CS) -> Svm:
    """Fits the L2-SVM, choosing C on the last fifth of the examples.

    Args:
      features: float [N, F], in random order.
      labels: int [N].
      cs: candidates for C; the first wins a tie.

    Raises:
      ValueError: if the numbers of labels and features differ, or the first four fifths of the
        examples show fewer than 2 classes.
    """
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(f"features are {features.shape}, labels {labels.shape}")
    if not can_fit(labels):
        raise ValueError("a classifier needs two classes")
    kept = _kept(labels)
    mean, scale = _scaling(features)
    # In place, and let go of: 50,000 images have 2.9 GB of features.
    standard = features - mean
    standard *= scale
    x, back = _compressed(standard)
    problem = NewtonSvm(x)
    del standard, x

    def fitted(c: float, n: int) -> Svm:
        weights, bias, classes = problem.fit(labels[:n], c)
        weights = back(weights) * scale
        return Svm(weights, bias - weights.astype(np.float64) @ mean, classes, c)

    def accuracy(c: float) -> float:
        return float(np.mean(fitted(c, kept).predict(features[kept:]) == labels[kept:]))

    return fitted(max(cs, key=accuracy), len(labels))


def _scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and factor, float32 [F], that scale features to standard deviations of 1 / sqrt(F);
    constant features become 0."""
    mean = features.mean(0, np.float64)
    # In parts, each of which NumPy copies as float64.
    parts = np.array_split(features, max(1, features.shape[1] // 512), axis=1)
    deviation = np.concatenate([part.std(0, np.float64) for part in parts])
    factor = np.zeros_like(mean)
    np.divide(1 / np.sqrt(len(mean)), deviation, out=factor, where=deviation > 0)
    return mean.astype(np.float32), factor.astype(np.float32)


def _compressed(x: np.ndarray) -> tuple[np.ndarray, Any]:
    """Examples [N, min(N, F)] with the inner products of x, [N, F], but much faster to fit; and a
    function that maps their weights back to those of x, [K, N] -> [K, F].

    The weights are a sum of examples, X^T a. With X X^T = L L^T, the rows of L have the inner
    products of X's rows, and their weights are L^T a.
    """
    from scipy.linalg import cholesky, solve_triangular

    if x.shape[0] >= x.shape[1]:
        return x, lambda weights: weights
    products = (x @ x.T).astype(np.float64)
    # float32's rounding makes eigenvalues negative; two equal examples make one 0.
    products[np.diag_indices(len(x))] += 1e-5
    lower = cholesky(products, lower=True, check_finite=False)

    def back(weights: np.ndarray) -> np.ndarray:
        a = solve_triangular(lower, weights.T, lower=True, trans=1, check_finite=False)
        return np.asarray(a.T.astype(np.float32) @ x)

    return lower, back
