"""Checks of the features that distance metrics take."""

from typing import Any

import numpy as np


def matrices(*sets: np.ndarray, least: int = 1, dtype: Any = np.float64) -> list[np.ndarray]:
    """Checks sets of features, or of images, and flattens each example.

    Args:
      sets: [N, ...] each; only the first axis may differ.
      least: minimum number of examples in each.
      dtype: dtype of the result.

    Returns:
      One [N, F] per set.

    Raises:
      ValueError: if the shapes do not match, a set is too small, or a number is not finite.
    """
    shapes = [x.shape for x in sets]
    if min(map(len, shapes)) < 2 or len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(f"features are {shapes}: all must be [N, F], the same F")
    if min(map(len, sets)) < least:
        raise ValueError(f"there are {[len(x) for x in sets]} examples, {least} are needed")
    flat = [x.reshape(len(x), -1).astype(dtype) for x in sets]
    if not all(np.isfinite(x).all() for x in flat):
        raise ValueError("the features are not finite")
    return flat
