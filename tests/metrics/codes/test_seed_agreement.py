"""The agreement of several seeds' codes, against cases whose answer is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from jaxgan.metrics.codes.seed_agreement import (
    agreement,
    align,
    categorical_similarity,
    consensus,
    continuous_similarity,
)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_a_renamed_code_agrees_and_an_independent_one_does_not(generator):
    codes = generator.integers(10, size=2_000)
    renamed = generator.permutation(10)[codes]
    assert categorical_similarity([codes], [renamed]) == pytest.approx(1)
    # Of independent codes NMI is some (K - 1)^2 / (2 N) / log K: here .009.
    assert categorical_similarity([codes], [generator.integers(10, size=2_000)]) < 0.03


def test_continuous_codes_agree_up_to_order_sign_and_scale(generator):
    codes = generator.normal(size=(500, 3))
    changed = np.exp(-codes[:, [2, 0, 1]])
    # Each row of R has a 1 and two correlations of independent codes, some .035 each.
    assert continuous_similarity(codes, changed) > 0.8
    mixed = codes @ np.linalg.qr(generator.normal(size=(3, 3)))[0]
    assert continuous_similarity(codes, mixed) < continuous_similarity(codes, changed) - 0.2


def test_continuous_similarity_is_udrs(generator):
    one, other = generator.normal(size=(2, 50, 2))
    other[:, 0] += one[:, 1]
    r = np.array([[abs(spearmanr(a, b).statistic) for b in other.T] for a in one.T])
    by_hand = [row.max() ** 2 / row.sum() for matrix in (r, r.T) for row in matrix]
    assert continuous_similarity(one, other) == pytest.approx(np.mean(by_hand))


def test_a_constant_code_has_no_similarity(generator):
    codes = generator.normal(size=(50, 1))
    assert continuous_similarity(codes, np.ones((50, 1))) == pytest.approx(0, abs=1e-12)
    assert continuous_similarity(codes, codes) == pytest.approx(1)
    with pytest.raises(ValueError, match="not \\[N, D\\]"):
        continuous_similarity(codes, codes[:10])


def test_agreement_is_the_mean_over_the_other_seeds():
    similarity = np.array([[9, 0.2, 0.4], [0.2, 9, 0.6], [0.4, 0.6, 9]])
    np.testing.assert_allclose(agreement(similarity), [0.3, 0.4, 0.5])
    with pytest.raises(ValueError, match="S at least 2"):
        agreement(np.ones((1, 1)))


def test_consensus_outvotes_a_seed_that_errs(generator):
    truth = generator.integers(4, size=300)
    target, predictions = None, []
    for _ in range(3):
        noisy = np.where(generator.random(300) < 0.3, generator.integers(4, size=300), truth)
        predictions.append(np.eye(4)[generator.permutation(4)[noisy]])
    target = predictions[0].argmax(1)
    permutations = [align(one.argmax(1), target, 4) for one in predictions]
    assert all(sorted(one) == [0, 1, 2, 3] for one in permutations)
    found = consensus(predictions, permutations)
    np.testing.assert_allclose(found.sum(1), 1)
    # Which class each value stands for, by its commonest one.
    class_of = [np.bincount(truth[target == value]).argmax() for value in range(4)]
    right = np.mean(np.array(class_of)[found.argmax(1)] == truth)
    alone = np.mean(np.array(class_of)[target] == truth)
    assert right > alone + 0.03
