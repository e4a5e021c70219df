"""What a call of the compiled step is given: the places of its real examples in data that lies on
the devices, or the examples themselves where they are streamed or shared out over several hosts.
The same examples either way."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan.data.batches import Batch, indices
from jaxgan.data.dataset import Split
from jaxgan.data.streaming import batches


@dataclasses.dataclass(frozen=True)
class ExampleIndices:
    """Which examples this host reads for a step; a class, so that worker processes can be sent it.

    Attributes:
      seeds: whose.
      images: size of the training split.
      shape: (k discriminator steps, batch).
      replacement: whether an image may come twice in an epoch.
      rows: which examples of each batch are this host's.
    """

    seeds: tuple[int, ...]
    images: int
    shape: tuple[int, int]
    replacement: bool
    rows: slice = dataclasses.field(default_factory=lambda: slice(None))

    def __call__(self, step: int) -> np.ndarray:
        """int32 [S, k, B]."""
        return np.stack(
            [
                indices(seed, step, self.images, self.shape, self.replacement)[:, self.rows]
                for seed in self.seeds
            ]
        )


class BatchLoader:
    """The real examples of one group of seeds, step by step.

    Args:
      split: the training split.
      places: of the group.
      start, stop: the first step, and the step after the last.
      workers: that read ahead, where examples are given.
      resident: whether the split lies on the devices, and places in it are enough.
    """

    def __init__(
        self,
        split: Split,
        places: ExampleIndices,
        start: int,
        stop: int,
        workers: int,
        resident: bool = False,
    ) -> None:
        self._split, self._places, self._step = split, places, start
        self._ahead: Iterator[np.ndarray] | None = None
        if not resident:
            self._ahead = batches(split.images, places, start, stop, workers)

    def next(self, count: int) -> np.ndarray | Batch:
        """What the next `count` steps are given.

        Returns:
          int32 [S, T, k, B], places in the split; or, where it is not resident, a batch of
          examples, [S, T, k, B, ...].

        Raises:
          UserError: if a streamed image cannot be read.
        """
        steps = range(self._step, self._step + count)
        self._step += count
        places = np.stack([self._places(step) for step in steps], axis=1)
        if self._ahead is None:
            return places
        images = np.stack([next(self._ahead) for _ in steps], axis=1)
        labels, features = self._split.labels, self._split.features
        return Batch(
            images,
            None if labels is None else labels[places],
            None if features is None else features.at(places),
        )

    def close(self) -> None:
        """Ends what reads ahead."""
        close: Any = getattr(self._ahead, "close", None)
        if close is not None:
            close()
