"""The kernel distance against the double loop, a closed form and worse and worse samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images.kernel_distance import kernel_distance, squared_mmd

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15)


def normal(seed, n, f=4, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (n, f))


def by_double_loop(x, y):
    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    def pairs(z):
        n = len(z)
        total = sum(kernel(z[i], z[j]) for i in range(n) for j in range(n) if i != j)
        return total / (n * (n - 1))

    cross = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    return pairs(x) + pairs(y) - 2 * cross


@quick
@given(SEEDS, st.integers(2, 7), st.integers(2, 7), st.integers(1, 5))
def test_equals_the_definition(seed, n, m, f):
    x, y = normal(seed, n, f), normal(seed + 1, m, f, 0.5)
    assert squared_mmd(x, y) == pytest.approx(by_double_loop(x, y), rel=1e-9, abs=1e-9)


def test_the_kernel_is_scikit_learns():
    from sklearn.metrics.pairwise import polynomial_kernel

    x, y = normal(0, 30), normal(1, 20, 4, 1.0)
    k = [polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y))]
    pairs = sum((m.sum() - np.trace(m)) / (len(m) * (len(m) - 1)) for m in k[:2])
    assert squared_mmd(x, y) == pytest.approx(pairs - 2 * k[2].mean(), rel=1e-9)


def test_two_points_by_hand():
    """All real ones at (1, 1), all generated at the origin: k is 8, 1 and 1 between them."""
    real, generated = np.ones((40, 2)), np.zeros((40, 2))
    assert kernel_distance(real, generated) == pytest.approx((7, 0, 10, 4), abs=1e-9)
    # Of uint8 a product of 100 and 100 would be 16.
    pixels = np.full((40, 2), 100, np.uint8)
    value = kernel_distance(pixels, pixels // 100).value
    assert value == pytest.approx(10_001**3 + 8 - 2 * 101**3, rel=1e-9)


def test_estimates_the_closed_form_without_bias():
    """Of N(0, 1) and N(m, 1) on a line the kernel's power series leaves three moments' squares."""
    m = 0.7
    exact = 3 * m**2 + 3 * (m**2) ** 2 + (m**3 + 3 * m) ** 2
    # Many small subsets: the biased estimate would be 45 % too high.
    values = [
        kernel_distance(normal(seed, 200, 1), normal(seed + 1_000, 200, 1, m)).value
        for seed in range(1_000)
    ]
    error = np.std(values) / 1_000**0.5
    assert np.mean(values) == pytest.approx(exact, abs=3 * error)
    assert error < 0.03 * exact


def test_the_standard_error_is_the_spread_of_repetitions():
    values = [kernel_distance(normal(s, 400), normal(s + 500, 400, 4, 0.3)) for s in range(100)]
    spread = np.std([value.value for value in values])
    # The spread of 100 repetitions is itself known to 7 %: four times that.
    assert np.mean([value.error for value in values]) == pytest.approx(spread, rel=0.28)


def test_averages_disjoint_subsets():
    x, y = normal(0, 61), normal(1, 47, 4, 1.0)
    distance = kernel_distance(x, y, seed=5)
    assert distance[2:] == (11, 4)
    generator = np.random.default_rng(5)
    i, j = generator.permutation(61)[:44], generator.permutation(47)[:44]
    parts = [squared_mmd(x[i[s : s + 4]], y[j[s : s + 4]]) for s in range(0, 44, 4)]
    assert distance.value == pytest.approx(np.mean(parts), rel=1e-12)
    assert distance.error == pytest.approx(np.std(parts, ddof=1) / 11**0.5, rel=1e-12)
    assert kernel_distance(x, y, seed=5) == pytest.approx(distance)
    assert kernel_distance(x, y, seed=6).value != pytest.approx(distance.value)
    assert kernel_distance(normal(0, 2_500), normal(1, 3_000))[2:] == (10, 250)
    assert kernel_distance(normal(0, 12_000, 1), normal(1, 12_500, 1))[2:] == (12, 1_000)


def test_worse_samples_are_farther():
    real, drawn, noise = (normal(seed, 2_000, 8) for seed in range(3))
    fair = kernel_distance(real, drawn)
    assert abs(fair.value) < 3 * fair.error
    noisy = [kernel_distance(real, drawn + amount * noise) for amount in (0.7, 1.4, 2.8)]
    collapsed = kernel_distance(real, drawn[:1] + 0.01 * noise)
    order = [fair, *noisy]
    for better, worse in itertools.pairwise(order):
        assert worse.value > better.value + 2 * worse.error
    assert collapsed.value > 10 * fair.error


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="20 are needed"):
        kernel_distance(normal(0, 20), normal(0, 19))
    with pytest.raises(ValueError, match="same F"):
        kernel_distance(normal(0, 30, 3), normal(0, 30, 4))
    with pytest.raises(ValueError, match="finite"):
        kernel_distance(normal(0, 30), normal(0, 30) * np.nan)
