"""Code accuracy, information and R^2 on cases whose answer is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.codes import clustering, information
from jaxgan.metrics.codes.code_accuracy import (
    code_accuracy,
    contingency,
    match_many_to_one,
    match_one_to_one,
)
from jaxgan.metrics.codes.r_squared import r_squared

LABELS = np.random.default_rng(0).integers(0, 10, 500)


def accuracies(codes, labels, values=10, classes=10):
    counts = contingency(codes, labels, values, classes)
    return tuple(
        code_accuracy(match(counts), codes, labels)
        for match in (match_one_to_one, match_many_to_one)
    )


@settings(max_examples=20)
@given(st.permutations(range(10)))
def test_a_perfect_code_in_any_order_is_perfect(order):
    codes = np.asarray(order)[LABELS]
    assert accuracies(codes, LABELS) == pytest.approx((1, 1))
    assert clustering.normalized_mutual_information(codes, LABELS) == pytest.approx(1)
    assert clustering.adjusted_rand_index(codes, LABELS) == pytest.approx(1)


def test_two_codes_for_one_class_cost_the_hungarian_matching_only():
    labels = np.array([0] * 8 + [1] * 4)
    codes = np.array([0] * 5 + [1] * 3 + [2] * 4)
    assert accuracies(codes, labels, 3, 2) == pytest.approx((9 / 12, 1))


def test_the_contingency_counts_by_hand():
    counts = contingency(np.array([0, 0, 1]), np.array([1, 1, 0]), 2, 3)
    assert counts.tolist() == [[0, 2, 0], [1, 0, 0]]


def test_every_measure_gets_worse_when_codes_are_shuffled():
    generator = np.random.default_rng(1)
    noisy = LABELS.copy()
    places = generator.permutation(500)[:250]
    noisy[places] = generator.integers(0, 10, 250)
    shuffled = generator.permutation(LABELS)
    measures = [
        lambda c: accuracies(c, LABELS)[0],
        lambda c: accuracies(c, LABELS)[1],
        lambda c: clustering.normalized_mutual_information(c, LABELS),
        lambda c: clustering.adjusted_rand_index(c, LABELS),
    ]
    for measure in measures:
        assert measure(LABELS) > measure(noisy) + 0.2 > measure(shuffled) + 0.2


def test_information_read_by_hand():
    sure = np.eye(4)[[0, 1, 2, 3]]
    assert information.information_read(sure) == pytest.approx(math.log(4))
    assert information.information_read(np.full((8, 4), 0.25)) == pytest.approx(0, abs=1e-9)
    assert information.information_read(np.eye(4)[[2, 2, 2]]) == pytest.approx(0, abs=1e-9)


def test_the_bound_of_an_ideal_reader_is_the_entropy():
    assert information.information_bound(math.log(10), np.zeros(5)) == pytest.approx(2.302585)
    nothing = information.information_bound(math.log(10), np.full(5, math.log(10)))
    assert nothing == pytest.approx(0, abs=1e-9)


def test_the_bound_of_a_gaussian_channel_is_its_information():
    """c = x + n of unit variance each: I = log(2) / 2 nats, and the ideal Q is N(c / 2, 1 / 2); a Q
    that is too sure, or reads another image, says less."""
    generator = np.random.default_rng(0)
    code = generator.normal(size=200_000)
    seen = code + generator.normal(size=code.shape)
    entropy = 0.5 * np.log(2 * np.pi * np.e)

    def bound(seen, variance):
        losses = 0.5 * (np.log(2 * np.pi * variance) + (code - seen / 2) ** 2 / variance)
        return information.information_bound(entropy, losses)

    assert bound(seen, 0.5) == pytest.approx(np.log(2) / 2, abs=0.005)
    assert bound(seen, 0.25) < bound(seen, 0.5) - 0.1
    assert bound(generator.permutation(seen), 0.5) < 0


def test_determination_is_scikit_learns_r2():
    from sklearn.metrics import r2_score

    generator = np.random.default_rng(0)
    value = generator.uniform(-1, 1, 100)
    prediction = value + generator.normal(0, 0.2, 100)
    assert r_squared(prediction, value) == pytest.approx(r2_score(value, prediction))
