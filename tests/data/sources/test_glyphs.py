import dataclasses

import numpy as np
import pytest
from conftest import tiny_config

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset, Factor, Split
from jaxgan.data.sources import glyphs
from jaxgan.data.sources.glyphs import FACTORS

FEW = {"train": 60, "validation": 30, "test": 30}
NAMES = [factor.name for factor in FACTORS]


@pytest.fixture(scope="module")
def few():
    return glyphs.load(sizes=FEW)


def drawn(**factors):
    """Images whose factors are in the middle of their ranges, but for those given: float64, of
    values that sum to 1."""
    n = max(np.size(values) for values in factors.values())
    table = np.zeros((n, len(FACTORS)))
    for i, factor in enumerate(FACTORS):
        table[:, i] = 0 if factor.categorical else (factor.low + factor.high) / 2
    for name, values in factors.items():
        table[:, NAMES.index(name)] = values
    images = glyphs.draw(table)[..., 0].astype(np.float64)
    return images / images.sum(axis=(1, 2), keepdims=True)


def moments(images):
    """The centroids (right, down) and the covariances [N, 2, 2] of the ink, in pixels."""
    down, right = np.indices(images.shape[1:])
    places = np.stack([right, down], axis=-1).reshape(-1, 2)
    weights = images.reshape(len(images), -1)
    centres = weights @ places
    away = places[None] - centres[:, None]
    return centres, np.einsum("np,npi,npj->nij", weights, away, away)


def test_the_same_seed_gives_the_same_bytes_and_the_splits_are_apart(few):
    again, other = glyphs.load(sizes=FEW), glyphs.load(sizes=FEW, seed=1)
    assert few.digest() == again.digest() != other.digest()
    splits = (few.train, few.validation, few.test)
    assert [len(split) for split in splits] == [60, 30, 30]
    every = np.concatenate([split.images for split in splits]).reshape(120, -1)
    assert len(np.unique(every, axis=0)) == 120
    # An image does not depend on those drawn with it.
    np.testing.assert_array_equal(few.draw(few.test.factors[7:9]), few.test.images[7:9])


def test_labels_are_digits_and_factors_uniform_on_their_ranges():
    """By their first two moments, at 20,000 draws."""
    generator = np.random.default_rng(0)
    for factor in FACTORS:
        values = factor.sample(generator, 20_000)
        low, high, steps = factor.low, factor.high, 1e9
        if factor.categorical:
            low, high, steps = 0, factor.values - 1, factor.values
        assert low <= values.min() < values.max() <= high
        deviation = (high - low) * np.sqrt((steps + 1) / (steps - 1) / 12)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * deviation)
        assert values.std() == pytest.approx(deviation, rel=0.03)


def test_factors_keep_the_order_of_their_images(few):
    np.testing.assert_array_equal(few.train.labels, few.train.factors[:, 0])
    for split in (
        few.train.first(9),
        few.train.take(np.array([5, 3])),
        few.only("7").train,
        few.train.hold_out(20, "few", shuffled=True)[1],
    ):
        np.testing.assert_array_equal(few.draw(split.factors), split.images)
    assert set(few.only("7").train.factors[:, 0]) == {7}


def test_glyphs_stream_with_their_factors(few, monkeypatch):
    monkeypatch.setattr("jaxgan.data.sources.glyphs.load", lambda size: few)
    lazy = data.load(tiny_config("glyphs", dataset__streamed="yes"))
    np.testing.assert_array_equal(lazy.test.images[:3], few.test.images[:3])
    np.testing.assert_array_equal(lazy.test.factors, few.test.factors)


def test_data_without_factors_has_none():
    none = Split(np.zeros((2, 4, 4, 1), np.uint8), None)
    dataset = Dataset("x", none, none, none)
    assert (dataset.factors, dataset.draw, none.first(1).factors) == ((), None, None)
    assert dataclasses.replace(dataset, factors=(Factor("a"),)).factors[0].categorical is False


def test_the_split_of_glyphs_is_fixed():
    with pytest.raises(UserError, match=r"dataset\.validation: the split of glyphs is fixed"):
        tiny_config("glyphs", dataset__validation=5)


def test_rotation_turns_the_ink_anticlockwise():
    """The long axis of a 1 (of a 0 as well) turns by as many degrees."""
    angles = np.array([-40.0, -20, 0, 20, 40])
    for digit in (0, 1):
        _, spread = moments(drawn(digit=digit, rotation=angles))
        # From the vertical, towards the left above: down is positive.
        axis = 0.5 * np.arctan2(2 * spread[:, 0, 1], spread[:, 1, 1] - spread[:, 0, 0])
        np.testing.assert_allclose(np.degrees(axis - axis[2]), angles, atol=2.5)


def test_width_is_that_of_the_strokes():
    """Across the middle of a 0 there are two strokes, 255 a pixel."""
    widths = np.array([1.2, 2.0, 3.0, 4.0])
    table = np.array([[0, 0, 0, width, 0, 15, 0, 0] for width in widths])
    ink = glyphs.draw(table)[:, 13:15, :, 0].sum(axis=2).mean(axis=1) / 255
    np.testing.assert_allclose(ink / 2, widths, atol=0.2)


def test_slant_shears_to_the_right():
    """The covariance of right and down over the variance down is minus the shear's tangent."""
    degrees = np.array([-15.0, 0, 15])
    _, spread = moments(drawn(digit=0, slant=degrees, width=1.2))
    shear = -spread[:, 0, 1] / spread[:, 1, 1]
    np.testing.assert_allclose(shear - shear[1], np.tan(np.radians(degrees)), atol=0.02)


def test_size_is_the_height_and_leaves_the_stroke():
    sizes = np.array([13.0, 15, 17])
    images = drawn(digit=8, size=sizes, width=2.0)
    for image, size in zip(images, sizes, strict=True):
        column = image.max(axis=1) / image.max()
        # The centre line's height, and half a stroke at either end; rim pixels count in part.
        assert column.sum() == pytest.approx(size + 2, abs=0.7)


def test_place_moves_the_ink_right_and_down():
    at = np.array([-1.5, -0.3, 0.0, 0.8, 1.5])
    centres, _ = moments(drawn(digit=3, x=at, y=-2 * at))
    np.testing.assert_allclose(centres - centres[2], np.stack([at, -2 * at], axis=1), atol=0.05)


def test_digits_and_fonts_differ():
    every = np.stack(np.meshgrid(range(10), range(len(glyphs.FONTS)), indexing="ij"), -1)
    images = drawn(digit=every[..., 0].ravel(), font=every[..., 1].ravel()).reshape(50, -1)
    distances = np.linalg.norm(images[:, None] - images[None], axis=2) + np.eye(50)
    assert distances.min() > 0.09 * np.linalg.norm(images, axis=1).max()


def test_glyphs_lie_within_the_image(few):
    """Even at the ends of the widest ranges."""
    border = few.train.images.copy()
    border[:, 1:-1, 1:-1] = 0
    assert (border.max(axis=(1, 2, 3)) > 128).mean() < 0.02
    assert few.train.images.max() == 255
    assert few.train.images.min() == 0


def test_another_size_draws_the_same_glyphs():
    factors = glyphs.load(sizes={"train": 8, "validation": 1, "test": 1}).train.factors
    large = glyphs.draw(factors, 56).reshape(8, 28, 2, 28, 2).mean(axis=(2, 4))
    assert np.abs(large - glyphs.draw(factors, 28)[..., 0]).mean() < 4


def test_thinning_keeps_ends_and_rings():
    bar, ring = np.zeros((9, 15), bool), np.zeros((15, 15), bool)
    bar[3:6, 2:13] = True
    line = glyphs.thinned(bar)
    assert line.any(axis=0).sum() >= 8
    assert line.sum(axis=0).max() == 1
    ring[2:13, 2:13] = True
    ring[6:9, 6:9] = False
    from scipy.ndimage import label

    thin = glyphs.thinned(ring)
    assert thin.sum() < ring.sum() / 2
    assert (label(thin, np.ones((3, 3)))[1], label(~thin)[1]) == (1, 2)
