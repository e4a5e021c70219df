"""The Parzen-window estimate against scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images import parzen
from jaxgan.metrics.images.parzen import SIGMAS, choose_sigma, mean_and_error, parzen_log_likelihood

SEEDS = st.integers(0, 2**32 - 1)


quick = settings(max_examples=15)


@quick
@given(SEEDS, st.sampled_from((0.05, 0.2, 1.0, 5.0)), st.integers(1, 20))
def test_parzen_is_scikit_learns_kernel_density(seed, sigma, dimensions):
    from sklearn.neighbors import KernelDensity

    generator = np.random.default_rng(seed)
    samples, points = generator.random((40, dimensions)), generator.random((30, dimensions))
    expected = KernelDensity(bandwidth=sigma, rtol=0, atol=0).fit(samples).score_samples(points)
    read = parzen_log_likelihood(samples, points, sigma)
    assert read.dtype == np.float64
    np.testing.assert_allclose(read, expected, rtol=1e-9, atol=1e-9)


def test_parzen_in_blocks_is_the_formula_on_images():
    """More points than a block, and images so far off that every exponential underflows."""
    from scipy.special import logsumexp

    generator = np.random.default_rng(0)
    samples = generator.random((20, 4, 4, 1), np.float32)
    points = generator.random((1203, 4, 4, 1), np.float32)
    points[7] += 50
    difference = points.reshape(1203, 1, 16).astype(np.float64) - samples.reshape(1, 20, 16)
    exponents = -np.square(difference).sum(axis=2) / (2 * 0.1**2)
    expected = logsumexp(exponents, axis=1) - np.log(20) - 8 * np.log(2 * np.pi * 0.1**2)
    np.testing.assert_allclose(parzen_log_likelihood(samples, points, 0.1), expected, rtol=1e-10)


def test_parzen_of_pixels_in_small_blocks_is_that_of_floats_in_one(monkeypatch):
    generator = np.random.default_rng(0)
    samples, points = (generator.integers(0, 256, (n, 4, 4, 3), np.uint8) for n in (23, 31))
    expected = parzen_log_likelihood(samples / 255, points / 255, 0.2)
    assert len(set(expected)) == 31
    np.testing.assert_allclose(parzen_log_likelihood(samples, points, 0.2), expected, rtol=1e-6)
    monkeypatch.setattr(parzen, "_BLOCK_BYTES", 5 * 8 * 48)
    read = parzen_log_likelihood(samples, points, 0.2)
    np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_parzen_of_one_sample_is_a_gaussian():
    """At the sample itself -D log(sigma sqrt(2 pi)), and half a nat less a deviation away."""
    sample = np.full((1, 784), 0.3)
    off = sample.copy()
    off[0, 0] += 0.2
    top = -784 * np.log(0.2 * np.sqrt(2 * np.pi))
    read = parzen_log_likelihood(sample, np.concatenate([sample, off]), 0.2)
    np.testing.assert_allclose(read, [top, top - 0.5], rtol=1e-12)


def test_parzen_of_a_gaussian_is_a_wider_gaussian():
    """A normal of deviation s under windows of sigma is a normal of sqrt(s^2 + sigma^2)."""
    from scipy.stats import norm

    samples = np.random.default_rng(0).normal(0.5, 0.3, (20_000, 1))
    points = np.linspace(0, 1, 9)[:, None]
    expected = norm(0.5, np.hypot(0.3, 0.2)).logpdf(points[:, 0])
    np.testing.assert_allclose(parzen_log_likelihood(samples, points, 0.2), expected, atol=0.02)


@quick
@given(SEEDS)
def test_parzen_ignores_order(seed):
    generator = np.random.default_rng(seed)
    samples, points = generator.random((30, 5)), generator.random((20, 5))
    order = generator.permutation(20)
    read = parzen_log_likelihood(samples, points, 0.2)
    other = parzen_log_likelihood(generator.permutation(samples), points[order], 0.2)
    np.testing.assert_allclose(other, read[order], rtol=1e-10)


def test_sigma_is_the_one_of_highest_mean_likelihood():
    generator = np.random.default_rng(0)
    samples, validation = generator.random((50, 8)), generator.random((100, 8))
    means = [parzen_log_likelihood(samples, validation, sigma).mean() for sigma in SIGMAS]
    best = int(np.argmax(means))
    assert 0 < best < 9, "the best is not to lie at an end, where a wrong choice could hide"
    assert choose_sigma(samples, validation) == SIGMAS[best]
    assert choose_sigma(samples, validation, sigmas=(5.0, 0.3)) == 0.3
    np.testing.assert_allclose(SIGMAS, np.logspace(-1, 0, 10))


def test_the_standard_error_by_hand():
    found = mean_and_error(np.array([1.0, 3.0, 5.0, 7.0]))
    assert found == pytest.approx((4, np.sqrt(5) / 2))


def test_parzen_refuses_what_does_not_fit():
    samples, points = np.zeros((3, 4)), np.zeros((2, 4))
    with pytest.raises(ValueError, match="samples are"):
        parzen_log_likelihood(samples, points[:, :2], 0.1)
    with pytest.raises(ValueError, match="samples are"):
        parzen_log_likelihood(samples[:0], points, 0.1)
    with pytest.raises(ValueError, match="above 0"):
        parzen_log_likelihood(samples, points, 0.0)
    with pytest.raises(ValueError, match="validation"):
        choose_sigma(samples, points[:0])


def test_parzen_memory_is_bounded_by_its_blocks():
    """10,000 x 10,000 x 784 is to fit in 2 GB: never a table of all pairs."""
    import tracemalloc

    generator = np.random.default_rng(0)
    samples, points = (generator.random((n, 784), np.float32) for n in (6_000, 6_000))
    tracemalloc.start()
    parzen_log_likelihood(samples, points, 0.2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    in_float64 = 8 * 784 * (len(samples) + len(points))
    assert most < 2 * in_float64 + 8 * 4 * 500 * len(samples) < 8 * len(samples) * len(points)
