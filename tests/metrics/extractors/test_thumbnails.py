"""Thumbnails as features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.extractors.thumbnails import thumbnails

SEEDS = st.integers(0, 2**32 - 1)


quick = settings(max_examples=15)


@pytest.mark.parametrize("size", [8, 24, 64])
def test_thumbnails_are_the_means_of_blocks(size):
    images = np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    k = size // 8
    expected = images.reshape(5, 8, k, 8, k, 3).mean(axis=(2, 4)).reshape(5, -1) / 255
    read = thumbnails(images)
    assert read.dtype == np.float32
    assert read.shape == (5, 192)
    np.testing.assert_allclose(read, expected, atol=1e-6)


@quick
@given(SEEDS, st.integers(8, 33), st.integers(8, 33))
def test_thumbnails_of_any_size_keep_the_mean_and_the_range(seed, height, width):
    """Every pixel weighs the same in the end, so the mean over the image is kept."""
    shape = (3, height, width, 2)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    read = thumbnails(images).reshape(3, 64, 2)
    np.testing.assert_allclose(read.mean(axis=1), images.mean(axis=(1, 2)) / 255, atol=1e-5)
    assert thumbnails(np.full(shape, 255, np.uint8)).max() <= 1 + 1e-6


def test_thumbnails_of_small_images_are_the_images():
    points = np.array([[[[0, 255]]], [[[51, 102]]]], np.uint8)
    np.testing.assert_allclose(thumbnails(points), [[0, 1], [0.2, 0.4]], atol=1e-7)
    assert thumbnails(np.zeros((0, 28, 28, 1), np.uint8)).shape == (0, 64)
    with pytest.raises(ValueError, match="uint8"):
        thumbnails(np.zeros((2, 28, 28, 1)))
