import numpy as np
import pytest
from scipy.spatial.distance import pdist

from jaxgan.metrics.images import pairwise_distance as module
from jaxgan.metrics.images.pairwise_distance import pairwise_distance


def images(n, seed=0, shape=(4, 4, 3)):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def mean_of_all_pairs(x):
    """The root mean square difference of pixels in [0, 1], averaged over every pair."""
    flat = x.reshape(len(x), -1) / 255
    return pdist(flat).mean() / np.sqrt(flat.shape[1])


def test_random_pairs_estimate_the_mean_over_all_pairs():
    """The images are of two kinds, so that the distances differ by more than noise."""
    x = images(2_000)
    x[::3] //= 4
    assert pairwise_distance(x) == pytest.approx(mean_of_all_pairs(x), rel=0.02)


def test_two_images_have_the_distance_of_scipy():
    for seed in range(5):
        x = images(2, seed)
        assert pairwise_distance(x) == pytest.approx(mean_of_all_pairs(x))
    assert pairwise_distance(np.stack([x[0] * 0, x[0] * 0 + 255])) == pytest.approx(1)


def test_pairs_share_their_label_and_labels_count_equally():
    """Label 0 has equal images, label 1 two, label 2 only one, which has no pair."""
    few = images(3)
    x, labels = np.concatenate([images(1).repeat(9, axis=0), few]), np.array([0] * 9 + [1, 1, 2])
    expected = mean_of_all_pairs(few[:2]) / 2
    order = np.random.default_rng(0).permutation(len(x))
    assert pairwise_distance(x[order], labels[order]) == pytest.approx(expected)


def test_one_image_of_each_label_is_at_distance_0():
    labels = np.arange(100) % 10
    assert pairwise_distance(images(10)[labels], labels) == 0
    assert pairwise_distance(images(10)[labels]) > 0.3


def test_scale_does_not_depend_on_the_size_of_the_images():
    x = images(50)
    assert pairwise_distance(x.repeat(2, axis=1)) == pytest.approx(pairwise_distance(x))


def test_blocks_do_not_change_the_distance(monkeypatch):
    x = images(50)
    whole = pairwise_distance(x)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * 48 * 7)
    assert pairwise_distance(x) == pytest.approx(whole, rel=1e-12)


def test_without_a_pair_there_is_no_distance():
    assert np.isnan(pairwise_distance(images(1)))
    assert np.isnan(pairwise_distance(images(3), np.arange(3)))


def test_what_are_not_images_with_labels_is_refused():
    with pytest.raises(ValueError, match="float64"):
        pairwise_distance(images(3) / 255)
    with pytest.raises(ValueError, match=r"labels \(2,\)"):
        pairwise_distance(images(3), np.arange(2))
