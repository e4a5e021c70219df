"""Grids of images; the one by which a notebook shows a trained run; arrays as Pillow images and PNG
files."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.models import conditions

if TYPE_CHECKING:
    from jaxgan.inference.trained_run import Run

COLUMNS, MOST_ROWS = 10, 10
# The grey level of a sheet's background, and the pixels between its images and around them.
GROUND, GAP = 40, 2


def grid(images: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Lays images out row by row on a dark background.

    Args:
      images: uint8 [N, H, W, C], C 1 or 3.
      columns: images in a row.
      gap: pixels between and around the images.

    Returns:
      uint8 [height, width, C]; cells after the last image are empty.
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), GROUND, np.uint8
    )
    for i, image in enumerate(images):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def enlarged(picture: np.ndarray, side: int, least: int = 56) -> np.ndarray:
    """Enlarges a picture by a whole factor, so that its images grow from `side` pixels to at least
    `least`."""
    times = max(1, -(-least // side))
    return picture.repeat(times, 0).repeat(times, 1)


def sheet(run: "Run") -> np.ndarray:
    """Samples, uint8 [H, W, C], whole times enlarged if they are small: a row for each label or
    value of the first categorical code, at most ten, or five rows."""
    codes = [prior.values for prior in run.gan.latent.codes if prior.categorical]
    condition = run.gan.condition
    if isinstance(condition, conditions.Label):
        labels = condition.members[:MOST_ROWS]
        rows = [run.sample(COLUMNS, label=run.label_names[i]) for i in labels]
    elif codes:
        rows = [run.sample(COLUMNS, code=i) for i in range(min(codes[0], MOST_ROWS))]
    else:
        rows = np.split(run.sample(5 * COLUMNS), 5)
    return enlarged(grid(np.concatenate(rows), COLUMNS), rows[0].shape[1])


def to_png(picture: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, C] with C 1 or 3, as the bytes of a PNG file."""
    file = io.BytesIO()
    to_pil(picture).save(file, "PNG")
    return file.getvalue()


def to_pil(picture: np.ndarray) -> Any:
    """A Pillow image of uint8 [H, W, C], C 1 or 3."""
    from PIL import Image

    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
