"""A trained discriminator's convolutions as features for a linear classifier.

Source: Radford et al. 2016, section 5.1: the activations of all convolution layers of the
discriminator, each map max-pooled to 4x4, flattened and joined, under a linear L2-SVM, read on
unseen images: 82.8 % of CIFAR-10 with a discriminator trained on ImageNet-1k; with 1,000 labels of
SVHN an error of 22.48 % (section 5.2). An L2-SVM minimises, for each class against the rest,

    (|w|^2 + b^2) / 2 + C sum_i max(0, 1 - y_i (w . x_i + b))^2

(scikit-learn's LinearSVC; the usual form leaves b out of the penalty).

Protocol: a layer's activations are what the next layer is given: after BatchNorm, the activation
and a pooling of the network's own, dropout off. BatchNorm has statistics re-estimated on the
training images. The pooling is adaptive: a side of H is cut at i H / 4, a pixel on a cut belongs to
both windows, and maps smaller than 4x4 stay as they are. Features are standardised by the training
images and divided by the root of their number, so that one range of C suits all kinds of them. C
is chosen on a fifth of the training images, then all of them are fitted. Baselines are the same
on raw pixels, and on an untrained discriminator of the same networks. Units: the share of test
images that are classified rightly.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

CS = (0.01, 0.1, 1.0, 10.0)
# Liblinear's stopping criterion: 0.01 reads the same shares to .001 in a third of the time of 1e-4.
_TOLERANCE = 0.01


class Svm(NamedTuple):
    """A linear classifier of one class against the rest.

    Attributes:
      weights, bias: of features as they come, float32 [K, F] and float64 [K]; of two classes K is
        1, how far it is the second.
      classes: int [2 or K].
      c: that was chosen.
    """

    weights: np.ndarray
    bias: np.ndarray
    classes: np.ndarray
    c: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The class of each example, int [N], from float [N, F]."""
        scores = features @ self.weights.T + self.bias
        several = len(self.weights) > 1
        return np.asarray(
            self.classes[scores.argmax(1) if several else (scores[:, 0] > 0).astype(int)]
        )


def fit_svm(features: np.ndarray, labels: np.ndarray, cs: tuple[float, ...] = CS) -> Svm:
    """Fits the L2-SVM, C chosen on the last fifth of the examples, which are in random order.

    Args:
      features: float [N, F].
      labels: int [N].
      cs: to choose from; of equally good ones the first.

    Raises:
      ValueError: if there are not as many labels as features, or the examples that C is fitted on
        show fewer than 2 classes.
    """
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(f"features are {features.shape}, labels {labels.shape}")
    kept = len(labels) - len(labels) // 5
    if len(np.unique(labels[:kept])) < 2:
        raise ValueError("a classifier wants two classes to tell apart")
    mean, scale = _scaling(features)
    standard = (features - mean) * scale
    x, back = _fewer(standard)

    def fitted(c: float, n: int) -> Svm:
        weights, bias, classes = _fit(x[:n], labels[:n], c)
        weights = back(weights) * scale
        return Svm(weights, bias - weights.astype(np.float64) @ mean, classes, c)

    def right(c: float) -> float:
        return float(np.mean(fitted(c, kept).predict(features[kept:]) == labels[kept:]))

    return fitted(max(cs, key=right), len(labels))


def _scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What standardises features to deviations of 1 / sqrt(F): mean and factor, float32 [F]. A
    feature that never varies comes to 0."""
    mean, deviation = features.mean(0, np.float64), features.std(0, np.float64)
    factor = np.zeros_like(mean)
    np.divide(1 / np.sqrt(len(mean)), deviation, out=factor, where=deviation > 0)
    return mean.astype(np.float32), factor.astype(np.float32)


def _fewer(x: np.ndarray) -> tuple[np.ndarray, Any]:
    """The examples, [N, F], in a space of min(N, F) numbers with the same inner products, where
    the classifier is fitted in a fraction of the time; and what brings its weights [K, N] back.

    The weights are a sum of examples, X^T a. With X X^T = L L^T the rows of L have the products of
    X's rows, and weights w of theirs are L^T a.
    """
    from scipy.linalg import cholesky, solve_triangular

    n, numbers = x.shape
    if n >= numbers:
        return x, lambda weights: weights
    products = (x @ x.T).astype(np.float64)
    # Float32's rounding leaves eigenvalues below 0, and two equal examples one of 0.
    products[np.diag_indices(n)] += 1e-5
    lower = cholesky(products, lower=True, check_finite=False)

    def back(weights: np.ndarray) -> np.ndarray:
        shares = solve_triangular(lower, weights.T, lower=True, trans=1, check_finite=False)
        return np.asarray(shares.T.astype(np.float32) @ x)

    return lower, back


def _fit(x: np.ndarray, labels: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [K, F], bias [K] and classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    dual = len(x) <= x.shape[1]
    svm = LinearSVC(C=c, dual=dual, tol=_TOLERANCE, random_state=0)
    with warnings.catch_warnings():
        # 1,000 passes are enough to tell two sets of features apart.
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm.fit(x, labels)
    return svm.coef_.astype(np.float32), svm.intercept_, svm.classes_
