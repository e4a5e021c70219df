"""Every measure of generated images on samples that are worse on purpose: which of them it sees,
and to which it is blind. Real digits; some of them play a perfect generator."""

import numpy as np
import pytest

from jaxgan.metrics.images.class_score import class_score
from jaxgan.metrics.images.conditional_accuracy import conditional_accuracy
from jaxgan.metrics.images.frechet import frechet_distance
from jaxgan.metrics.images.kernel_distance import kernel_distance
from jaxgan.metrics.images.memorisation import CopyingTest
from jaxgan.metrics.images.nearest_neighbour import nearest_neighbour_error, two_sample_accuracy
from jaxgan.metrics.images.pairwise_distance import pairwise_distance
from jaxgan.metrics.images.parzen import choose_sigma, parzen_log_likelihood
from jaxgan.metrics.images.precision_recall import density_coverage, precision_recall

N = 400


class Digits:
    """The scans, [N, 64] in [0, 1], and a classifier of them."""

    def __init__(self):
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression

        scans = load_digits()
        order = np.random.default_rng(0).permutation(len(scans.target))
        x, y = scans.data[order] / 16, scans.target[order]
        parts = [slice(i * N, (i + 1) * N) for i in range(4)]
        self.train, self.test, self.good, self.validation = ((x[part], y[part]) for part in parts)
        self.reader = LogisticRegression(max_iter=2000).fit(*self.train)

    def worse(self, kind):
        """Images and the labels that they were asked for."""
        generator = np.random.default_rng(1)
        images, labels = self.good
        if kind == "noise":
            return np.clip(images + generator.normal(0, 0.7, images.shape), 0, 1), labels
        if kind == "collapse":
            return images[:1] + generator.normal(0, 0.01, images.shape), labels
        if kind == "copies":
            return self.train
        if kind == "shuffled labels":
            return images, generator.permutation(labels)
        return images, labels


@pytest.fixture(scope="module")
def digits():
    return Digits()


def parzen(digits, images, labels):
    sigma = choose_sigma(images, digits.validation[0])
    return np.mean(parzen_log_likelihood(images, digits.test[0], sigma))


def difference_of_pairs(digits, images, labels):
    generated, real = ((255 * x).astype(np.uint8) for x in (images, digits.test[0]))
    return abs(pairwise_distance(generated) - pairwise_distance(real))


# The larger, the better; and by how much a worse one has to be worse at the least.
MEASURES = {
    "fréchet": (lambda d, x, y: -frechet_distance(d.test[0], x), 0.5),
    "kernel": (lambda d, x, y: -kernel_distance(d.test[0], x).value, 0.05),
    "precision": (lambda d, x, y: precision_recall(d.test[0], x).precision, 0.5),
    "recall": (lambda d, x, y: precision_recall(d.test[0], x).recall, 0.5),
    "density": (lambda d, x, y: density_coverage(d.test[0], x).density, 0.5),
    "coverage": (lambda d, x, y: density_coverage(d.test[0], x).coverage, 0.5),
    "classes": (lambda d, x, y: class_score(d.reader.predict_proba(x)).value, 1),
    "parzen": (parzen, 10),
    "pairs": (lambda *drawn: -difference_of_pairs(*drawn), 0.05),
    "told apart": (
        lambda d, x, y: -abs(two_sample_accuracy(d.test[0], x).accuracy - 0.5),
        0.05,
    ),
    "memory": (lambda d, x, y: CopyingTest(d.train[0], d.test[0], 3).of(x).statistic, 5),
    "as asked": (lambda d, x, y: conditional_accuracy(y, d.reader.predict(x)), 0.2),
    "fitted on": (lambda d, x, y: -nearest_neighbour_error(x, y, *d.test), 0.2),
}
SEES = {
    "noise": set(MEASURES) - {"recall", "memory"},
    # One sharp image lies well within the real ones.
    "collapse": set(MEASURES) - {"precision", "density", "memory"},
    # To all but one of them the training images are as good as unseen ones.
    "copies": {"memory"},
    "shuffled labels": {"as asked", "fitted on"},
}


@pytest.fixture(scope="module")
def good(digits):
    return {name: measure(digits, *digits.good) for name, (measure, _) in MEASURES.items()}


@pytest.mark.parametrize("kind", SEES)
def test_measures_detect_the_defects_they_should(digits, good, kind):
    seen = set()
    for name, (measure, least) in MEASURES.items():
        if measure(digits, *digits.worse(kind)) < good[name] - least:
            seen.add(name)
    assert seen == SEES[kind]
