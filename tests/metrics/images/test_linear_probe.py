"""The L2-SVM of the linear probe against scikit-learn."""

import numpy as np
import pytest

from jaxgan.metrics.images.linear_probe import fit_svm


def clusters(n, numbers, classes=3, spread=0.3, seed=0):
    """Gaussians around the corners of a simplex: features float32 [n, numbers], labels [n]."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n)
    noise = draw.normal(0, spread, (n, numbers))
    return (np.eye(numbers)[labels] + noise).astype(np.float32), labels + 5


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("numbers", [6, 400])
def test_svm_equals_scikit_learns_on_standardised_features(monkeypatch, numbers, classes):
    """With fewer features than examples, and with more, in a smaller space."""
    from sklearn.svm import LinearSVC

    monkeypatch.setattr("jaxgan.metrics.images.newton_svm.TOLERANCE", 1e-6)
    x, labels = clusters(120, numbers, classes)
    unseen, _ = clusters(50, numbers, classes, seed=1)
    x[:, 5], unseen[:, 5] = 7, 8  # A feature that never varies says nothing.
    svm = fit_svm(x, labels, cs=(1.0,))
    deviation = np.where(np.arange(numbers) == 5, np.inf, x.std(axis=0))
    scale = deviation * np.sqrt(numbers)
    scikit = LinearSVC(tol=1e-6).fit((x - x.mean(axis=0)) / scale, labels)
    mine = unseen @ svm.weights.T + svm.bias
    theirs = scikit.decision_function((unseen - x.mean(axis=0)) / scale).reshape(mine.shape)
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
    # Where the two best classes are farther apart than both fits' tolerance.
    scores = theirs if classes > 2 else np.concatenate([-theirs, theirs], axis=1)
    decided = np.diff(np.sort(scores, axis=1)[:, -2:])[:, 0] > 1e-2
    assert decided.mean() > 0.8
    np.testing.assert_array_equal(
        svm.predict(unseen[decided]),
        scikit.predict((unseen[decided] - x.mean(axis=0)) / scale),
    )


def test_svm_separates_clusters_and_not_shuffled_labels():
    x, labels = clusters(300, 50)
    unseen, truth = clusters(300, 50, seed=1)
    right = np.mean(fit_svm(x, labels).predict(unseen) == truth)
    shuffled = np.random.default_rng(0).permutation(labels)
    by_chance = np.mean(fit_svm(x, shuffled).predict(unseen) == truth)
    assert right > 0.85
    assert 0.2 < by_chance < 0.5


def test_c_is_chosen_on_held_out_examples():
    """A quarter of the labels are wrong: a large C follows each of them, a small one learns
    nothing."""
    x, labels = clusters(500, 400, classes=2, spread=0.15)
    wrong = np.random.default_rng(1).random(500) < 0.25
    labels = np.where(wrong, 11 - labels, labels)
    assert fit_svm(x, labels, cs=(100.0, 0.1)).c == 0.1
    assert fit_svm(x, labels, cs=(0.001, 0.1)).c == 0.1
    with pytest.raises(ValueError, match="two classes"):
        fit_svm(x, np.zeros(500, int))
