"""1-NN: labelled images as a training set, and telling two sets apart, against the double loop."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images.nearest_neighbour import nearest_neighbour_error, two_sample_accuracy

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15)


def normal(seed, n, f=3, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (n, f))


def digits():
    """Scikit-learn's 8x8 scans, uint8 [N, 8, 8, 1], to fit on and to read, with their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * 15).astype(np.uint8)[..., None]
    return (images[:1_000], bunch.target[:1_000]), (images[1_000:], bunch.target[1_000:])


@quick
@given(SEEDS, st.integers(1, 30), st.integers(1, 30))
def test_the_error_is_that_of_the_double_loop(seed, n, m):
    fitted, read = normal(seed, n), normal(seed + 1, m)
    labels = np.random.default_rng(seed).integers(0, 4, n + m)
    wrong = [
        labels[np.argmin([np.linalg.norm(x - y) for y in fitted])] != label
        for x, label in zip(read, labels[n:], strict=True)
    ]
    error = nearest_neighbour_error(fitted, labels[:n], read, labels[n:])
    assert error == pytest.approx(np.mean(wrong))


def test_images_of_digits_are_read_and_worse_ones_read_worse():
    train, test = digits()
    images, labels = train
    real = nearest_neighbour_error(*train, *test)
    assert 0.005 < real < 0.1
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, images.shape)
    noisy = [images + amount * noise for amount in (80, 160, 320)]
    values = [nearest_neighbour_error(x, labels, *test) for x in (images, *noisy)]
    assert values[0] == pytest.approx(real)
    assert all(a + 0.02 < b for a, b in itertools.pairwise(values))
    # Labels that say nothing: chance.
    shuffled = nearest_neighbour_error(images, generator.permutation(labels), *test)
    assert shuffled == pytest.approx(0.9, abs=0.04)
    # A tenth of the labels wrong is about a tenth of the readings wrong.
    some = np.where(generator.random(1_000) < 0.1, (labels + 1) % 10, labels)
    assert nearest_neighbour_error(images, some, *test) == pytest.approx(real + 0.1, abs=0.04)
    # Only one digit drawn, whatever was asked for.
    assert nearest_neighbour_error(images[labels == 3], labels[labels == 3], *test) > 0.85


@quick
@given(SEEDS, st.integers(1, 20), st.floats(0, 3))
def test_the_two_sample_accuracy_is_that_of_the_double_loop(seed, n, mean):
    real, generated = normal(seed, n), normal(seed + 1, n, mean=mean)
    both = np.concatenate([real, generated])
    right = []
    for i, x in enumerate(both):
        distances = [np.inf if i == j else np.linalg.norm(x - y) for j, y in enumerate(both)]
        right.append((np.argmin(distances) < n) == (i < n))
    expected = np.mean(right), np.mean(right[:n]), np.mean(right[n:])
    assert two_sample_accuracy(real, generated) == pytest.approx(expected)


def test_two_sample_accuracy_is_half_for_equal_distributions():
    real, drawn, noise = (normal(seed, 1_000, 5) for seed in range(3))
    fair = two_sample_accuracy(real, drawn).accuracy
    assert fair == pytest.approx(0.5, abs=3 * (0.25 / 1_000) ** 0.5)
    noisy = [two_sample_accuracy(real, drawn + amount * noise).accuracy for amount in (1, 2, 8)]
    assert all(a + 0.03 < b for a, b in itertools.pairwise([fair, *noisy]))
    collapsed = two_sample_accuracy(real, drawn[:1] + 1e-3 * noise)
    assert collapsed.generated == pytest.approx(1)
    assert collapsed.accuracy > 0.95
    # The set itself: each example's nearest is its copy.
    assert two_sample_accuracy(real, real) == pytest.approx((0, 0, 0))
    assert two_sample_accuracy(real, real + 0.01 * noise).accuracy < 0.1


def test_refuses_shapes_that_do_not_fit():
    x, labels = normal(0, 10), np.zeros(10, int)
    with pytest.raises(ValueError, match="chance"):
        two_sample_accuracy(x, x[:9])
    with pytest.raises(ValueError, match="labels of"):
        nearest_neighbour_error(x, labels[:9], x, labels)
    with pytest.raises(ValueError, match="labels of"):
        nearest_neighbour_error(x, labels, x, np.eye(10)[labels])
    with pytest.raises(ValueError, match="1 are needed"):
        nearest_neighbour_error(x[:0], labels[:0], x, labels)
