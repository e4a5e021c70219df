"""Eight Gaussians on a circle: the smallest data on which a generator can lose modes."""

import numpy as np

from jaxgan.data.dataset import Dataset, Modes, Split

MODES, RADIUS, DEVIATION = 8, 2.0, 0.05
SIZES = {"train": 10_000, "validation": 2_000, "test": 2_000}
# A mode is found by 20 samples in 1,000 within three deviations of its centre.
FOUND, NEAR = 20 / 1_000, 3


def centres() -> np.ndarray:
    """The modes' centres, float64 [8, 2]; the first lies on the x axis."""
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def load() -> Dataset:
    """Points, float32 [N, 1, 1, 2], each labelled with its mode; always the same."""
    splits = {}
    for i, (name, size) in enumerate(SIZES.items()):
        generator = np.random.default_rng([0, i])
        labels = generator.integers(MODES, size=size).astype(np.int32)
        points = centres()[labels] + DEVIATION * generator.standard_normal((size, 2))
        splits[name] = Split(points.astype(np.float32).reshape(size, 1, 1, 2), labels)
    return Dataset(
        "ring",
        splits["train"],
        splits["validation"],
        splits["test"],
        tuple(map(str, range(MODES))),
        modes=Modes(centres(), DEVIATION),
    )


def modes_found(points: np.ndarray, modes: Modes | None = None) -> int:
    """How many modes some points cover.

    Args:
      points: [N, ..., D], at least one.
      modes: of the data; None is the ring's.

    Returns:
      The modes with at least 20 in 1,000 of all points within three deviations of their centre.
    """
    where, deviation = modes or (centres(), DEVIATION)
    flat = np.asarray(points, np.float64).reshape(-1, where.shape[1])
    distances = np.linalg.norm(flat[:, None] - where[None], axis=2)
    near = (distances <= NEAR * deviation).sum(axis=0)
    return int((near >= FOUND * len(flat)).sum())
