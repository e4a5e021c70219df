"""Grids, strips and their files."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.inference.pictures import GROUND, grid
from jaxgan.reporting.images import cut, read_png, save_png, strip, titled


def test_a_grid_puts_every_image_in_its_place(tmp_path):
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, 1).repeat(2, 2) + 100
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (2 * 4 + 1, 3 * 3 + 1, 1)
    assert sheet[1, 1, 0] == 100
    assert sheet[1, 7, 0] == 102
    assert sheet[5, 4, 0] == 104
    assert sheet[5, 7, 0] == 40
    save_png(str(tmp_path / "a" / "sheet.png"), sheet)
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "a" / "sheet.png")), sheet[..., 0]
    )


def some_images(*shape):
    return np.random.default_rng(0).integers(100, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_read_back_and_cut_into_its_images(tmp_path, channels):
    images = some_images(6, 5, 4, channels)
    save_png(str(tmp_path / "sheet.png"), grid(images, 3))
    read = cut(read_png(str(tmp_path / "sheet.png")), 5, 4)
    np.testing.assert_array_equal(read.reshape(images.shape), images)


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("RGBA", 3), ("1", 1), ("LA", 3)])
def test_a_sheet_that_another_program_saved_again_has_one_or_three_channels(
    tmp_path, mode, channels
):
    path = str(tmp_path / "sheet.png")
    save_png(path, some_images(8, 8, 3))
    with Image.open(path) as file:
        file.convert(mode).save(path)
    assert read_png(path).shape == (8, 8, channels)


def test_a_strip_has_a_labelled_row_of_enlarged_images():
    rows = some_images(2, 3, 12, 12, 3)
    picture = strip(list(rows), ["step 0", "step 10"])
    height, right = 2 * 26 + 2, 3 * 26 + 2
    assert picture.shape[::2] == (height, 3)
    sheet, margin = picture[:, -right:], picture[:, :-right]
    np.testing.assert_array_equal(cut(sheet, 24, 24)[:, :, ::2, ::2], rows)
    said = [(part > 150).sum() for part in (margin[:26], margin[26:])]
    assert 0 < said[0] < said[1]


def test_a_title_longer_than_its_picture_is_whole():
    picture = np.zeros((20, 30, 1), np.uint8)
    wide = titled(picture, "a long title of a narrow picture")
    # Nothing is drawn at the left edge, where a cut letter would be.
    assert wide.shape[1] > 150
    assert (wide[:18, :4] == GROUND).all()
    assert (wide[:18] > 150).any()
    np.testing.assert_array_equal(wide[18:, :30], picture)
