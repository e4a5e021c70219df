"""Eight Gaussians on a circle: a minimal dataset for mode collapse."""

import numpy as np

from jaxgan.data.dataset import Dataset, Modes, Split

MODES, RADIUS, DEVIATION = 8, 2.0, 0.05
SIZES = {"train": 10_000, "validation": 2_000, "test": 2_000}
# A mode is found if 20 of 1,000 samples lie within three deviations of its centre.
FOUND, NEAR = 20 / 1_000, 3


def centres() -> np.ndarray:
    """Returns the modes' centres, float64 [8, 2]; the first is on the x axis."""
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def load() -> Dataset:
    """Draws the points, float32 [N, 1, 1, 2], labelled with their modes; always the same."""

    def draw(stream: int, size: int) -> Split:
        generator = np.random.default_rng([0, stream])
        labels = generator.integers(MODES, size=size).astype(np.int32)
        points = centres()[labels] + DEVIATION * generator.standard_normal((size, 2))
        return Split(points.astype(np.float32).reshape(size, 1, 1, 2), labels)

    train, validation, test = (draw(i, size) for i, size in enumerate(SIZES.values()))
    names, modes = tuple(map(str, range(MODES))), Modes(centres(), DEVIATION)
    return Dataset("ring", train, validation, test, names, modes=modes)


def modes_found(points: np.ndarray, modes: Modes | None = None) -> int:
    """Counts the modes that have 20 in 1,000 of all points within three deviations.

    Args:
      points: [N, ..., D], N > 0.
      modes: modes of the data; None is the ring's.
    """
    means, deviation = modes or (centres(), DEVIATION)
    flat = np.asarray(points, np.float64).reshape(-1, means.shape[1])
    distances = np.linalg.norm(flat[:, None] - means[None], axis=2)
    near = (distances <= NEAR * deviation).sum(axis=0)
    return int((near >= FOUND * len(flat)).sum())
