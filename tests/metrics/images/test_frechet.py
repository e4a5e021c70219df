"""The Fréchet distance against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images.frechet import frechet_distance

SEEDS = st.integers(0, 2**32 - 1)


quick = settings(max_examples=15)


def features(seed, n=40, f=6):
    """Correlated features, none of them centred."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, f)) @ generator.normal(size=(f, f)) + generator.normal(size=f)


def standardised(seed, n, f):
    """Features whose mean is exactly 0 and whose covariance is exactly the unit matrix."""
    x = np.random.default_rng(seed).normal(size=(n, f))
    q = np.linalg.qr(x - x.mean(axis=0))[0]
    return q * np.sqrt(n - 1)


@quick
@given(SEEDS, st.integers(1, 6))
def test_frechet_of_diagonal_gaussians_is_the_closed_form(seed, f):
    generator = np.random.default_rng(seed)
    (mean_a, mean_b), (a, b) = generator.normal(size=(2, f)), generator.uniform(0.1, 3, (2, f))
    real = standardised(seed, 30, f) * a + mean_a
    generated = standardised(seed + 1, 50, f) * b + mean_b
    expected = np.sum(np.square(mean_a - mean_b)) + np.sum(np.square(a - b))
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@quick
@given(SEEDS)
def test_frechet_is_the_formula_by_scipys_matrix_square_root(seed):
    from scipy.linalg import sqrtm

    a, b = features(seed), features(seed + 1)
    c_a, c_b = np.cov(a.T), np.cov(b.T)
    trace = np.trace(c_a + c_b - 2 * np.real(sqrtm(c_a @ c_b)))
    expected = np.sum(np.square(a.mean(axis=0) - b.mean(axis=0))) + trace
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@quick
@given(SEEDS)
def test_frechet_is_invariant_to_rotation_order_and_exchange(seed):
    a, b = features(seed), features(seed + 1)
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    distance = frechet_distance(a, b)
    for other in (
        frechet_distance(a @ rotation + 1, b @ rotation + 1),
        frechet_distance(generator.permutation(a), b),
        frechet_distance(b, a),
        frechet_distance(2 * a, 2 * b) / 4,
    ):
        assert other == pytest.approx(distance, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("n", "f"), [(40, 6), (5, 30)])
def test_frechet_of_equal_sets_is_0(n, f):
    """Of fewer examples than features, too: their covariance has no full rank."""
    a = features(0, n, f) + 100
    assert 0 <= frechet_distance(a, a[::-1]) < 1e-6
    assert frechet_distance(a, a + 1) == pytest.approx(f, rel=1e-6)
    assert frechet_distance(a.astype(np.float32), a.astype(np.float32)) < 1e-6


def test_frechet_refuses_what_has_no_covariance():
    a = features(0)
    with pytest.raises(ValueError, match="2 are needed"):
        frechet_distance(a, a[:1])
    with pytest.raises(ValueError, match="all must be \\[N, F\\]"):
        frechet_distance(a, a[:, :3])
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(a, a * np.inf)
