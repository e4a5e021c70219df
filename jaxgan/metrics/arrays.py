"""What every measure of distances asks of the features that it is given."""

from typing import Any

import numpy as np


def matrices(*sets: np.ndarray, least: int = 1, dtype: Any = np.float64) -> list[np.ndarray]:
    """Sets of features, or of images laid out flat, as matrices of one width.

    Args:
      sets: [N, ...] each; the first axis alone may differ.
      least: so many examples each at least.
      dtype: what they are taken to.

    Returns:
      [N, F] each.

    Raises:
      ValueError: if the shapes do not fit, a set is too small, or a number is not finite.
    """
    shapes = [x.shape for x in sets]
    if min(map(len, shapes)) < 2 or len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(f"features are {shapes}: all are to be [N, F], the same F")
    if min(map(len, sets)) < least:
        raise ValueError(f"there are {[len(x) for x in sets]} examples, {least} are wanted")
    flat = [x.reshape(len(x), -1).astype(dtype) for x in sets]
    if not all(np.isfinite(x).all() for x in flat):
        raise ValueError("the features are not finite")
    return flat
