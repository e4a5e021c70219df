"""Copies of the training set, and what lies farther from it than unseen images do."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.inference.pictures import grid
from jaxgan.metrics.images.memorisation import CopyingTest, nearest_training, rank_statistic
from jaxgan.reporting.images import cut, neighbours

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15)


def normal(seed, n, f=4, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (n, f))


@quick
@given(SEEDS, st.integers(3, 30), st.integers(1, 20), st.integers(1, 3))
def test_nearest_training_equals_the_double_loop(seed, t, n, k):
    # The precision in which they are read.
    train, images = (x.astype(np.float32) for x in (normal(seed, t), normal(seed + 1, n)))
    distances = np.linalg.norm(images[:, None] - train[None], axis=2)
    nearest = nearest_training(train, images, k)
    assert nearest.places.shape == (n, k)
    of_places = np.take_along_axis(distances, nearest.places, axis=1)
    # Two that are almost equally far may come in either order.
    for found in (nearest.distances, of_places):
        np.testing.assert_allclose(found, np.sort(distances, axis=1)[:, :k], rtol=1e-5, atol=1e-6)
    assert all(len(set(row)) == k for row in nearest.places.tolist())


def test_distances_of_uint8_images_do_not_overflow():
    """Of uint8 a difference of 1 - 2 would be 255."""
    train = np.zeros((3, 2, 2, 1), np.uint8) + np.array([1, 9, 200], np.uint8).reshape(3, 1, 1, 1)
    images = np.full((1, 2, 2, 1), 2, np.uint8)
    nearest = nearest_training(train, images, 3)
    np.testing.assert_array_equal(nearest.places, [[0, 1, 2]])
    np.testing.assert_allclose(nearest.distances, [[2, 14, 396]], rtol=1e-6)


@quick
@given(SEEDS, st.integers(2, 30), st.integers(2, 30), st.booleans())
def test_the_rank_statistic_is_its_definition(seed, m, n, ties):
    generator = np.random.default_rng(seed)
    ours, theirs = generator.integers(0, 5 if ties else 10**9, (2, 30))
    ours, theirs = ours[:m].astype(float), theirs[:n].astype(float)
    above = sum((a > b) + (a == b) / 2 for a in ours for b in theirs)
    expected = (above - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
    assert rank_statistic(ours, theirs) == pytest.approx(expected, abs=1e-9)


def test_the_rank_statistic_gives_scipys_p_value():
    from scipy.stats import mannwhitneyu, norm

    ours, theirs = normal(0, 50)[:, 0], normal(1, 80)[:, 0] + 0.3
    tested = mannwhitneyu(
        ours, theirs, alternative="less", use_continuity=False, method="asymptotic"
    )
    assert norm.cdf(rank_statistic(ours, theirs)) == pytest.approx(tested.pvalue, rel=1e-9)


def test_statistic_is_the_mean_over_cells_weighted_by_test_images():
    """Three far clouds are the cells; the third has too few generated images to count."""
    places = np.array([0.0, 100.0, 200.0])
    clouds = [
        [
            normal(seed + i, n, 2) + place
            for i, (n, place) in enumerate(zip(ns, places, strict=True))
        ]
        for seed, ns in ((0, (60, 60, 60)), (10, (30, 90, 40)), (20, (50, 40, 19)))
    ]
    train, test, generated = (np.concatenate(parts) for parts in clouds)
    z = [
        rank_statistic(
            *(nearest_training(clouds[0][i], x[i]).distances[:, 0] for x in reversed(clouds[1:]))
        )
        for i in range(3)
    ]
    result = CopyingTest(train, test, 3).of(generated)
    assert result.statistic == pytest.approx((30 * z[0] + 90 * z[1]) / 120, abs=1e-6)
    assert (result.cells, result.covered) == (2, pytest.approx(120 / 160))
    # K-means adds up what its threads found in no fixed order.
    assert CopyingTest(train, test, 3).of(generated) == pytest.approx(result)
    # With no cell that counts, and with one cell, it is the plain test.
    few = CopyingTest(train, test[:19], 3).of(generated)
    assert (few.statistic, few.cells, few.covered) == pytest.approx((few.z, 0, 0))
    one = CopyingTest(train, test, 1).of(generated)
    assert (one.statistic, one.cells, one.covered) == pytest.approx((result.z, 1, 1))


def test_cells_depend_on_the_seed_alone():
    train, test, generated = (normal(seed, 300) for seed in range(3))
    first, again, other = (CopyingTest(train, test, 5, seed).of(generated) for seed in (0, 0, 1))
    assert again == pytest.approx(first)
    assert other.statistic != pytest.approx(first.statistic, rel=1e-3)
    assert other.z == pytest.approx(first.z)


def test_fair_samples_give_a_standard_normal():
    results = [
        CopyingTest(normal(s, 300), normal(s + 500, 200), 3).of(normal(s + 1_000, 200))
        for s in range(40)
    ]
    z = np.array([result.z for result in results])
    assert abs(z.mean()) < 3 / 40**0.5
    assert z.std() == pytest.approx(1, abs=0.3)
    assert np.mean([result.closer for result in results]) == pytest.approx(0.5, abs=0.02)
    assert np.std([result.statistic for result in results]) < 1.2


def test_copies_score_low_and_noise_high():
    train, test, fair, noise = (normal(seed, 1_000, 6) for seed in range(4))
    # Exact copies, and two kinds that are clearly farther away (by more than half a deviation).
    copies = [train + amount * noise for amount in (0.0, 0.2, 0.4)]
    # A quarter, a half and all of the images copied.
    shares = [np.concatenate([train[:n], fair[n:]]) for n in (250, 500, 1_000)]
    statistics = [CopyingTest(train, test).of(x).statistic for x in (*copies, fair)]
    assert all(a + 0.5 < b for a, b in itertools.pairwise(statistics))
    assert statistics[0] < -8
    assert abs(statistics[-1]) < 3
    falling = [CopyingTest(train, test).of(x).statistic for x in (fair, *shares)]
    assert all(a > b + 0.5 for a, b in itertools.pairwise(falling))
    assert falling[1] < -1
    noisy = [
        CopyingTest(train, test).of(fair + amount * noise).statistic for amount in (0.0, 0.5, 1)
    ]
    assert all(a + 0.5 < b for a, b in itertools.pairwise(noisy))
    assert noisy[-1] > 3
    assert CopyingTest(train, test).of(train).closer == pytest.approx(1)


def test_noise_in_one_cell_does_not_hide_copies_in_another():
    """Cells are there for this: over all images the two cancel."""
    train, test, fair = (normal(seed, 2_000, 3) for seed in range(3))
    right = [x[:, 0] > 0 for x in (train, test, fair)]
    for x, mask in zip((train, test, fair), right, strict=True):
        x[mask] += 50
    half = fair[~right[2]] + normal(9, (~right[2]).sum(), 3)
    generated = np.concatenate([half, train[right[0]]])
    test = np.concatenate([test[~right[1]][:300], test[right[1]]])
    assert CopyingTest(train, test, 1).of(generated).z < 0
    assert CopyingTest(train, test, 2).of(generated).statistic < -15


def test_refuses_shapes_that_do_not_fit():
    x = normal(0, 30)
    with pytest.raises(ValueError, match="31 nearest of 30"):
        nearest_training(x, x, 31)
    with pytest.raises(ValueError, match="31 cells of 30"):
        CopyingTest(x, x, 31)
    with pytest.raises(ValueError, match="1 are needed"):
        CopyingTest(x, x).of(x[:0])
    with pytest.raises(ValueError, match="same F"):
        nearest_training(x, x[:, :2])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_has_each_image_before_its_nearest(channels):
    shape = (7, 5, 4, channels)
    train = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = train[[3, 6]] ^ 1
    places = nearest_training(train, images, 3).places
    np.testing.assert_array_equal(places[:, 0], [3, 6])
    sheet = neighbours(images, train[places])
    first = grid(images, 1)
    np.testing.assert_array_equal(sheet[:, : first.shape[1]], first)
    rest = cut(sheet[:, -grid(train[places[0]], 3).shape[1] :], 5, 4)
    np.testing.assert_array_equal(rest, train[places])
    assert sheet.shape == (2 * 7 + 2, (4 + 4) + 4 + (3 * 6 + 2), channels)
