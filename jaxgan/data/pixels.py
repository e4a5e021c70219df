"""Converts uint8 pixels to a network's range and back, and resizes images."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def to_network(images: jax.Array | np.ndarray, low: float, dtype: Any = jnp.float32) -> jax.Array:
    """Maps uint8 0..255 to [low, 1]: low is 0 for a sigmoid generator, -1 for a tanh generator.

    Numbers of another dtype (points) keep their values.
    """
    numbers = jnp.asarray(images).astype(dtype)
    if images.dtype != jnp.uint8:
        return numbers
    return numbers * ((1 - low) / 255) + low


def to_uint8(images: jax.Array | np.ndarray, low: float) -> np.ndarray:
    """Maps [low, 1] to uint8 0..255, rounded to the nearest; inverts `to_network`."""
    scaled = (np.asarray(images, np.float32) - low) * (255 / (1 - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes (bicubic) the central square of uint8 [N, H, W, C] to [N, size, size, C]."""
    from PIL import Image

    n, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    out = np.empty((n, size, size, channels), np.uint8)
    for i in range(n):
        for c in range(channels):
            plane = Image.fromarray(square[i, :, :, c])
            out[i, :, :, c] = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC))
    return out
