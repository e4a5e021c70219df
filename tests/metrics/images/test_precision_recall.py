"""Precision, recall, density, coverage: the definitions, an expectation, worse samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images import precision_recall as module
from jaxgan.metrics.images.precision_recall import density_coverage, precision_recall

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15)


def normal(seed, n, f=3, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (n, f))


def inside(points, centres, k):
    """Whether point i lies in centre j's ball, by the double loop."""
    held = np.zeros((len(points), len(centres)), bool)
    for j, centre in enumerate(centres):
        others = np.delete(centres, j, axis=0)
        radius = np.sort([np.linalg.norm(other - centre) for other in others])[k - 1]
        held[:, j] = [np.linalg.norm(point - centre) <= radius for point in points]
    return held


@quick
@given(SEEDS, st.integers(6, 25), st.integers(6, 25), st.integers(1, 5), st.floats(0, 3))
def test_equal_their_definitions(seed, n, m, k, mean):
    real, generated = normal(seed, n), normal(seed + 1, m, mean=mean)
    of_real, of_generated = inside(generated, real, k), inside(real, generated, k)
    assert precision_recall(real, generated, k) == pytest.approx(
        (of_real.any(axis=1).mean(), of_generated.any(axis=1).mean())
    )
    assert density_coverage(real, generated, k) == pytest.approx(
        (of_real.sum() / (k * m), of_real.any(axis=0).mean())
    )


def test_four_points_by_hand():
    """On a line: balls about 0, 1, 3 that reach to the nearest other have radii 1, 1, 2."""
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [5.5], [4.0]])
    # 0.5 lies in the first two, 4 in the third, 5.5 in none.
    assert precision_recall(real, generated, 1).precision == pytest.approx(2 / 3)
    # Balls about 0.5, 5.5, 4: radii 3.5, 1.5, 1.5; they hold 0, 1 and 3.
    assert precision_recall(real, generated, 1).recall == pytest.approx(1)
    assert density_coverage(real, generated, 1) == pytest.approx((1, 1))


def test_the_expectations_of_naeem_et_al():
    """One distribution on both sides: density 1 and their closed form of coverage."""
    n, m, k = 60, 40, 3
    measured = [density_coverage(normal(s, n), normal(s + 1_000, m), k) for s in range(60)]
    density, coverage = np.mean(measured, axis=0)
    errors = np.std(measured, axis=0) / 60**0.5
    i = np.arange(1, k + 1)
    assert coverage == pytest.approx(1 - np.prod((n - i) / (m + n - i)), abs=3 * errors[1])
    assert density == pytest.approx(1, abs=3 * errors[0])
    assert errors.max() < 0.03


def test_independent_of_block_size(monkeypatch):
    real, generated = normal(0, 700, 5), normal(1, 900, 5, 0.5)
    whole = precision_recall(real, generated), density_coverage(real, generated)
    monkeypatch.setattr(module, "_WORKING_MEMORY", 0.05)
    assert len(list(module._inside(generated, real, 3))) > 10
    # Without a tie, a count: sums in other blocks round by far less than any two distances differ.
    blocks = precision_recall(real, generated), density_coverage(real, generated)
    for found, expected in zip(blocks, whole, strict=True):
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("offset", [0, 1_000])
def test_a_set_against_itself_scores_1(offset):
    """Each ball holds its centre, k - 1 others and the k-th on its surface, however rounded."""
    x = normal(0, 200, 6).astype(np.float32) + offset
    assert precision_recall(x, x) == pytest.approx((1, 1))
    assert density_coverage(x, x, 5) == pytest.approx((6 / 5, 1))


def test_independent_of_an_offset_of_the_features():
    """At a million, squares of 1e12 would leave four digits of a distance."""
    x, y = normal(0, 300), normal(1, 300, mean=0.5)
    there = np.array([1e6, -1e6, 0])
    # One point of 300 at most changes sides of a surface: 1e6 leaves ten digits of a feature.
    one = 1 / 300
    assert precision_recall(x + there, y + there) == pytest.approx(precision_recall(x, y), abs=one)
    assert density_coverage(x + there, y + there) == pytest.approx(density_coverage(x, y), abs=one)


def test_worse_samples_lower_the_scores_they_concern():
    real, drawn, noise = (normal(seed, 1_000, 6) for seed in range(3))
    fair, fair_density = precision_recall(real, drawn), density_coverage(real, drawn)
    assert min(*fair, *fair_density) > 0.8
    # Noise costs precision and density more than anything.
    noisy = [drawn + amount * noise for amount in (0.8, 1.4, 2.8)]
    for values in (
        [fair.precision] + [precision_recall(real, x).precision for x in noisy],
        [fair_density.density] + [density_coverage(real, x).density for x in noisy],
    ):
        assert all(a > b + 0.05 for a, b in itertools.pairwise(values))
    # One mode costs recall and coverage, and is as precise as can be.
    collapsed = drawn[:1] + 1e-3 * noise
    precision, recall = precision_recall(real, collapsed)
    assert (precision, recall) == pytest.approx((1, 0), abs=0.02)
    assert density_coverage(real, collapsed).coverage < 0.05
    # Half of the data never drawn costs its half of coverage and recall.
    real[:500] += 100
    drawn[:500] += 100
    whole, half = density_coverage(real, drawn), density_coverage(real, drawn[500:])
    assert half.coverage == pytest.approx(whole.coverage / 2, abs=0.05)
    of_whole, of_half = precision_recall(real, drawn), precision_recall(real, drawn[500:])
    assert of_half.recall == pytest.approx(of_whole.recall / 2, abs=0.05)


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="4 are needed"):
        precision_recall(normal(0, 30), normal(0, 3))
    with pytest.raises(ValueError, match="same F"):
        density_coverage(normal(0, 30), normal(0, 30, 4))
    with pytest.raises(ValueError, match="at least 1"):
        density_coverage(normal(0, 30), normal(0, 30), 0)
