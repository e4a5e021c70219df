"""Real examples, and which of them a step trains on: a pure function of seed and step."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Real examples of one step, with k discriminator steps, or of a whole split.

    Attributes:
      images: uint8, or float in the network's range, [k, B, H, W, C]; of a split [N, H, W, C].
      labels: int32 [k, B], or None; of a split [N].
      features: features that the networks are conditioned on, float [k, B, F], or None; of a split
        `tagging.types.Rows`.
    """

    images: Any
    labels: Any = None
    features: Any = None

    def at(self, rows: Any) -> "Batch":
        """Of a whole split, the examples at these indices."""
        labels = None if self.labels is None else self.labels[rows]
        features = None if self.features is None else self.features.at(rows)
        return Batch(self.images[rows], labels, features)


def indices(
    seed: int, step: int, images: int, shape: tuple[int, ...], replacement: bool
) -> np.ndarray:
    """Draws the indices of one step's real examples, int32 of `shape`: see `indices_of_steps`."""
    return indices_of_steps(seed, step, 1, images, shape, replacement)[0]


def indices_of_steps(
    seed: int, step: int, steps: int, images: int, shape: tuple[int, ...], replacement: bool
) -> np.ndarray:
    """Draws the indices, int32 [steps, *shape], of some steps' real examples in the training split.

    Without replacement, the steps walk through one random permutation per epoch; a batch may span
    two epochs. With replacement, the indices are independent and uniform.

    Args:
      seed: the run's seed.
      step: the first step, counted from 0.
      steps: number of steps.
      images: size of the training split.
      shape: shape of one step's indices, such as (discriminator steps, batch).
      replacement: whether to draw with replacement.
    """
    count = int(np.prod(shape))
    if replacement:
        # The third number separates these streams from the permutations'.
        streams = (np.random.default_rng([seed, i, 1]) for i in range(step, step + steps))
        drawn = np.stack([stream.integers(images, size=count) for stream in streams])
        return drawn.astype(np.int32).reshape(steps, *shape)
    first, after = step * count, (step + steps) * count
    parts = []
    for epoch in range(first // images, -(-after // images)):
        begin = epoch * images
        order = _permutations(seed, images)(epoch)
        parts.append(order[max(first - begin, 0) : after - begin])
    return np.concatenate(parts).reshape(steps, *shape)


def map_batches(function: Callable[[Any, int], Any], tree: Any, size: int) -> Any:
    """Applies a compiled function to N examples in batches; returns NumPy arrays [N, ...].

    The last batch is padded with the first examples, so that the function is traced once. (Padding
    with zeros could hide an overflow in a network.)

    Args:
      function: (batch, batch number from 0) -> tree of arrays with a leading axis of examples.
      tree: arrays [N, ...], N > 0.
      size: batch size.
    """
    import jax  # Not at the top: worker processes that only read images need no JAX.

    n = len(jax.tree.leaves(tree)[0])
    results = []
    for i, start in enumerate(range(0, n, size)):
        rows = np.arange(start, start + size) % n
        batch = jax.tree.map(lambda x, rows=rows: np.asarray(x)[rows], tree)
        results.append(jax.device_get(function(batch, i)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


@functools.lru_cache(maxsize=4_096)  # The most seeds of a run.
def _permutations(seed: int, images: int) -> Callable[[int], np.ndarray]:
    """A seed's permutation of the images in each epoch, int32 [images]. The last two epochs are
    kept: drawing 60,000 numbers takes 1 ms, at every step if they are not."""

    @functools.lru_cache(maxsize=2)
    def of_epoch(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)

    return of_epoch
