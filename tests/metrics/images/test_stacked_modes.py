"""Modes of stacked digits."""

import numpy as np
import pytest

from jaxgan.data.sources import digits, stacked
from jaxgan.metrics.images.stacked_modes import kl_to_data, mode_shares, modes_hit, modes_read


@pytest.fixture(scope="module")
def single():
    return digits.load(8)


@pytest.fixture(scope="module")
def stack(single):
    return stacked.load(single)


def test_modes_are_the_three_readings():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[0, 0, 0], images[1, 0, 0] = (3, 0, 7), (0, 9, 1)
    assert modes_read(images, lambda x: x[:, 0, 0, 0].astype(int), 10).tolist() == [307, 91]
    with pytest.raises(ValueError, match="not \\[N, H, W, 3\\]"):
        modes_read(images[..., :2], len, 10)


def test_divergence_equals_scipys():
    from scipy.stats import entropy

    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(27))
    modes = generator.integers(0, 20, 500)
    expected = entropy(np.bincount(modes, minlength=27), shares)
    assert kl_to_data(modes, shares) == pytest.approx(expected)
    assert mode_shares(np.array([0, 0, 1, 2]), 3)[5] == pytest.approx(0.5 * 0.25 * 0.25)


def test_the_divergence_by_hand():
    """All in one of a thousand even modes: log 1000. In half of them: log 2. As the data: 0."""
    even = np.full(1000, 1e-3)
    assert kl_to_data(np.zeros(50, int), even) == pytest.approx(np.log(1000))
    assert kl_to_data(np.repeat(np.arange(500), 3), even) == pytest.approx(np.log(2))
    assert kl_to_data(np.arange(1000), even) == pytest.approx(0, abs=1e-12)
    assert kl_to_data(np.array([0, 1]), np.array([1.0, 0.0])) == np.inf
    with pytest.raises(ValueError, match="no images"):
        kl_to_data(np.zeros(0, int), even)


def test_mode_collapse_measures_worse(stack, single):
    modes, shares = stack.test.labels, mode_shares(single.train.labels, 10)
    worse = [modes, modes[modes < 500], modes[modes < 20], modes[:1].repeat(9)]
    hit = [modes_hit(some) for some in worse]
    kl = [kl_to_data(some, shares) for some in worse]
    assert hit == [1000, 500, 20, 1]
    assert kl == sorted(kl)
    assert kl[0] < 0.05 < 0.6 < kl[1] < 0.8
    # Uneven, though nothing is lost.
    tilted = np.concatenate([modes, modes[modes < 100].repeat(20)])
    assert modes_hit(tilted) == 1000
    assert kl_to_data(tilted, shares) > kl[0] + 0.5
