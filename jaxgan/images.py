"""Pictures: grids of images, and files of them."""

import os

import numpy as np


def grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lays images out row by row on a dark ground.

    Args:
      images: uint8 [N, H, W, C], C 1 or 3.
      columns: images in a row.
      gap: pixels between them and around.

    Returns:
      uint8 [height, width, C]; places after the last image stay empty.
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 40, np.uint8
    )
    for i, image in enumerate(images):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def scatter(points: np.ndarray, limit: float = 3.0, size: int = 240) -> np.ndarray:
    """Points, float [N, D], as dots on a dark square from -limit to limit: uint8 [size, size, 1].

    Shown are the first two coordinates; points of a line lie on the square's middle. Points outside
    are left out.
    """
    sheet = np.full((size, size, 1), 40, np.uint8)
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))[:, :2]
    places = np.floor((points / limit + 1) / 2 * size).astype(int)
    x, y = places[np.all((places >= 0) & (places < size), axis=1)].T
    sheet[size - 1 - y, x] = 255
    return sheet


def save_png(path: str, sheet: np.ndarray) -> None:
    """Writes uint8 [H, W, C] as a PNG; whole or not at all."""
    from PIL import Image

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture.save(path + ".part", format="PNG")
    os.replace(path + ".part", path)
