"""Sheets over time."""

import types

import numpy as np

from jaxgan.inference.pictures import grid
from jaxgan.reporting.images import cut
from jaxgan.reporting.sample_sheets import Sheet, even_steps, over_time


def some_images(*shape):
    return np.random.default_rng(0).integers(100, 256, shape, dtype=np.uint8)


def test_steps_are_spread_over_those_that_are_there():
    assert even_steps(range(0, 101, 10), 3) == [0, 50, 100]
    assert even_steps([4, 1, 9], 10) == [1, 4, 9]
    assert even_steps([0, 10, 20, 90, 100], 4) == [0, 20, 90, 100]
    assert even_steps([7]) == [7]


def test_a_sheet_over_time_takes_its_columns_in_turn():
    """Rows are labels or codes: each comes once before any comes twice. The pictures that stand
    before and after a row are left out."""
    gan = types.SimpleNamespace(image_shape=(24, 24, 1))
    images = some_images(2, 20, 24, 24, 1)
    pictures = {0: grid(images[0], 5), 30: grid(images[1], 5)}
    sheet = over_time(gan, Sheet("", None, 5), pictures)[:, -(20 * 26 + 2) :]
    shown = images.reshape(2, 4, 5, 24, 24, 1).swapaxes(1, 2)
    np.testing.assert_array_equal(cut(sheet, 24, 24), shown.reshape(images.shape))
    known = over_time(gan, Sheet("", None, 3, images[0], images[0]), pictures)
    inner = cut(known[:, -(12 * 26 + 2) :], 24, 24)
    np.testing.assert_array_equal(inner, shown[:, 1:-1].reshape(2, 12, 24, 24, 1))
