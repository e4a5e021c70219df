"""Thumbnails: features that need no network."""

import numpy as np

SIDE = 8


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Images averaged down to 8x8 pixels: features that need neither labels nor training.

    They show where ink and colour lie, but nothing finer. Each output pixel averages its area of
    the image, with border pixels weighted by their overlap, so any size from 8 works. Smaller
    images (points are 1x1x2) are kept.

    Args:
      images: uint8 [N, H, W, C].

    Returns:
      float32 in [0, 1], [N, 64 * C]; [N, H * W * C] if a side is shorter than 8.

    Raises:
      ValueError: if the images are not uint8 or do not have four axes.
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype} {images.shape}, not uint8 [N, H, W, C]")
    height, width = images.shape[1:3]
    if min(height, width) < SIDE:
        return (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)
    rows, columns = _averaging(height), _averaging(width)
    parts = []
    for start in range(0, len(images), 1000):
        block = images[start : start + 1000] / np.float32(255)
        small = np.einsum("ah,nhwc,bw->nabc", rows, block, columns, optimize=True)
        parts.append(np.clip(small, 0, 1).reshape(len(block), -1).astype(np.float32))
    return np.concatenate(parts) if parts else np.zeros((0, SIDE * SIDE * images.shape[3]), "f4")


def _averaging(size: int) -> np.ndarray:
    """The matrix, [8, size], that averages `size` pixels to 8 by their overlap with each."""
    edges = np.linspace(0, size, SIDE + 1)
    pixels = np.arange(size)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    return (np.maximum(high - low, 0) * (SIDE / size)).astype(np.float32)
