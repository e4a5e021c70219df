"""The score by classes against SciPy's entropy, its two ends, and worse and worse samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images.class_score import class_score

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15)


def sure(labels, classes=10, certainty=1.0):
    """The reader's probabilities where it sees each label with that certainty."""
    rest = (1 - certainty) / (classes - 1)
    return np.full((len(labels), classes), rest) + (certainty - rest) * np.eye(classes)[labels]


@quick
@given(SEEDS, st.integers(1, 6), st.integers(1, 4))
def test_equals_the_formula_with_scipys_entropy(seed, classes, splits):
    from scipy.stats import entropy

    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), 23)
    shuffled = np.random.default_rng(7).permutation(p)
    parts = np.array_split(shuffled, splits)
    scores = [np.exp(np.mean([entropy(row, part.mean(axis=0)) for row in part])) for part in parts]
    score = class_score(p, splits, seed=7)
    assert score.value == pytest.approx(np.mean(scores), rel=1e-9)
    assert score.deviation == pytest.approx(np.std(scores), rel=1e-6, abs=1e-9)
    assert (score.splits, score.split_size) == (splits, 23 // splits)
    # The same as the information between image and class, which knows nothing of KL.
    h = entropy(p.mean(axis=0)) - np.mean([entropy(row) for row in p])
    assert np.log(class_score(p, 1).value) == pytest.approx(h, abs=1e-9)
    assert 1 - 1e-9 <= score.value <= classes + 1e-9


def test_ranges_from_1_to_the_number_of_classes():
    labels = np.arange(1_000) % 10
    assert class_score(sure(labels), 1) == pytest.approx((10, 0, 1, 1_000), abs=1e-9)
    assert class_score(np.full((50, 10), 0.1)).value == pytest.approx(1)


def test_shuffles_images_before_splitting_them():
    """Without it each split of ten would hold one class, and the score would be 1."""
    # The entropy of a split of 100 is (10 - 1) / 2 / 100 nats short of log 10 on average.
    expected = 10 * np.exp(-9 / 200)
    for labels in (np.arange(1_000) // 100, np.arange(1_000) % 10):
        assert class_score(sure(labels), 10).value == pytest.approx(expected, abs=0.4)


def test_worse_samples_score_less():
    labels = np.arange(1_000) % 10
    good = class_score(sure(labels, certainty=0.95))
    noisy = [class_score(sure(labels, certainty=certainty)) for certainty in (0.8, 0.5, 0.2)]
    values = [good.value, *(score.value for score in noisy)]
    assert values == sorted(values, reverse=True)
    assert class_score(sure(labels % 3)).value == pytest.approx(3, abs=0.3)
    assert class_score(sure(labels * 0)).value == pytest.approx(1)


def test_refuses_what_is_no_probability():
    p = sure(np.arange(20) % 10)
    below = p + 0.5 * np.roll(p, 1, axis=1) - 0.5 * np.roll(p, 2, axis=1)
    for bad in (2 * p, below, np.where(p > 0, np.nan, p), p - 0.01):
        with pytest.raises(ValueError, match="sum to 1"):
            class_score(bad)
    with pytest.raises(ValueError, match="splits"):
        class_score(p, 21)
    with pytest.raises(ValueError, match="not \\[N, K\\]"):
        class_score(p[0], 1)
    # Float32 from a softmax is as good.
    assert class_score(sure(np.arange(40) % 4, certainty=0.7).astype(np.float32)).value > 1
