"""Real examples, and which of them a step trains on: a pure function of the seed and the step."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Real examples: those of a step, or, with fewer axes, a whole split.

    Attributes:
      images: uint8 (or float, in the network's range) [k, B, H, W, C] (k discriminator steps).
      labels: int32 [k, B], or None.
      features: of the condition, float [k, B, F], or None; of a whole split
        `tagged.Rows`.
    """

    images: Any
    labels: Any = None
    features: Any = None

    def at(self, places: Any) -> "Batch":
        """Of a whole split, the examples at `places`."""
        labels = None if self.labels is None else self.labels[places]
        features = None if self.features is None else self.features.at(places)
        return Batch(self.images[places], labels, features)


def indices(
    seed: int, step: int, images: int, shape: tuple[int, ...], replacement: bool
) -> np.ndarray:
    """The places in the training split of the real images of one step.

    Without replacement, the steps walk through one permutation after another, so that every image
    is seen once an epoch (a batch may reach over from one epoch into the next). With replacement,
    every place is an independent uniform draw.

    Args:
      seed: of the run.
      step: counted from 0.
      images: size of the training split.
      shape: of the answer, such as (discriminator steps, batch).
      replacement: whether an image may come twice in an epoch.

    Returns:
      int32, of that shape.
    """
    count = int(np.prod(shape))
    if replacement:
        # The third number keeps these draws apart from the permutations'.
        drawn = np.random.default_rng([seed, step, 1]).integers(images, size=count)
        return drawn.astype(np.int32).reshape(shape)
    places = np.arange(step * count, (step + 1) * count, dtype=np.int64)
    out = np.empty(count, np.int32)
    for epoch in np.unique(places // images):
        here = places // images == epoch
        out[here] = _permutation(seed, int(epoch), images)[places[here] % images]
    return out.reshape(shape)


def map_batches(function: Callable[[Any, int], Any], tree: Any, size: int) -> Any:
    """A compiled function of batches, over any number of examples.

    The last batch is filled up with the first examples, so that all have one shape and the function
    is traced once. (Filled up with zeros, a network could overflow unseen.)

    Args:
      function: of a batch and its number, counted from 0; returns arrays with an axis of examples.
      tree: arrays [N, ...], N > 0.
      size: of a batch.

    Returns:
      What the function returns for all N examples, NumPy arrays [N, ...].
    """
    import jax  # Processes that only read images do without.

    n = len(jax.tree.leaves(tree)[0])
    results = []
    for i, start in enumerate(range(0, n, size)):
        rows = np.arange(start, start + size) % n
        batch = jax.tree.map(lambda x, rows=rows: np.asarray(x)[rows], tree)
        results.append(jax.device_get(function(batch, i)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


@functools.lru_cache(maxsize=64)
def _permutation(seed: int, epoch: int, images: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)
