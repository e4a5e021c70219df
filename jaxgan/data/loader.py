"""Feeds the compiled step: indices if the data is on the devices, otherwise the real examples (data
that is streamed). Training is the same either way."""

import dataclasses
from typing import Any

import numpy as np

from jaxgan.data.batches import Batch, indices_of_steps
from jaxgan.data.dataset import Split
from jaxgan.data.streaming import batches


@dataclasses.dataclass(frozen=True)
class ExampleIndices:
    """Maps a step to the indices of this host's examples; a class, because workers unpickle it.

    Attributes:
      seeds: seeds of the runs, S.
      images, shape, replacement: as in `batches.indices_of_steps`; shape is (k discriminator steps,
        batch).
      rows: this host's part of each batch.
    """

    seeds: tuple[int, ...]
    images: int
    shape: tuple[int, int]
    replacement: bool
    rows: slice = dataclasses.field(default_factory=lambda: slice(None))

    def __call__(self, step: int) -> np.ndarray:
        """int32 [S, k, B]."""
        return self.of_steps(step, 1)[:, 0]

    def of_steps(self, step: int, count: int) -> np.ndarray:
        """Those of `count` steps from `step` on, int32 [S, T, k, B]."""
        drawn = [
            indices_of_steps(seed, step, count, self.images, self.shape, self.replacement)
            for seed in self.seeds
        ]
        return np.stack(drawn)[:, :, :, self.rows]


class BatchLoader:
    """Loads the real examples of one group of seeds, step by step.

    Args:
      split: training split.
      indices_of: maps a step to the group's indices.
      start, stop: first step, and the step after the last.
      workers: number of threads or processes that read ahead (see `streaming.batches`).
      on_device: whether the split is on the devices, so that indices suffice.
    """

    def __init__(
        self,
        split: Split,
        indices_of: ExampleIndices,
        start: int,
        stop: int,
        workers: int,
        on_device: bool = False,
    ) -> None:
        self._split, self._indices_of, self._step = split, indices_of, start
        self._images: Any = None
        if not on_device:
            self._images = batches(split.images, indices_of, start, stop, workers)

    def next(self, count: int) -> np.ndarray | Batch:
        """Returns the input of the next T = `count` steps; raises UserError for unreadable images.

        For a split on the devices: indices, int32 [S, T, k, B]. Else: examples, [S, T, k, B, ...].
        """
        rows = self._indices_of.of_steps(self._step, count)
        self._step += count
        if self._images is None:
            return rows
        images = np.stack([next(self._images) for _ in range(count)], axis=1)
        labels = None if self._split.labels is None else self._split.labels[rows]
        features = None if self._split.features is None else self._split.features.at(rows)
        return Batch(images, labels, features)

    def close(self) -> None:
        """Stops reading ahead."""
        if self._images is not None:
            self._images.close()
