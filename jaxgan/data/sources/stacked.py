"""Stacked MNIST: three random digits as the channels of an image, 1,000 modes of known frequency.

Source: Metz et al. 2017 (unrolled GANs), section 3.3.1; 128,000 images as in Lin et al. 2018
(PacGAN). Any labelled dataset of one channel can be stacked; `stacked_digits` needs no download.

    image_i = (x_a, x_b, x_c),   label_i = (y_a K + y_b) K + y_c,   a, b, c uniform over the split

The splits are those of the single images, so that no test digit is trained on. Images are stacked
when they are read: memory holds the single images, and three indices per image.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.streaming import Streamed

PREFIX = "stacked_"
CHANNELS = 3
# The test split, the reference, has as many images as the protocol generates.
SIZES = {"train": 128_000, "validation": 10_000, "test": 26_000}
SEED = 0


def load(single: Dataset, in_memory: bool = False, seed: int = SEED) -> Dataset:
    """Stacks a dataset's images, uint8 [N, H, W, 3], labelled with their modes.

    Args:
      single: labelled uint8 images of one channel; an empty split stays empty.
      in_memory: whether to stack all images now (301 MB of training images at 28x28).
      seed: seed of the draws; each split has its own stream.

    Raises:
      UserError: if `single` has no labels, or not one channel.
    """
    if single.points or single.image_shape[2] != 1 or not single.label_names:
        raise UserError(
            f"dataset.name={PREFIX}{single.name}: {single.name} has not one channel and labels",
            f"use {PREFIX}digits or {PREFIX}mnist",
        )
    classes = len(single.label_names)

    def stack(stream: int, name: str) -> Split:
        split: Split = getattr(single, name)
        shape = SIZES[name] if len(split) else 0, CHANNELS
        generator = np.random.default_rng([seed, stream])
        indices = generator.integers(max(len(split), 1), size=shape, dtype=np.int32)
        assert split.labels is not None
        labels = mode_of(split.labels[indices], classes).astype(np.int32)
        images = Streamed(Stack(split.images, indices))
        return Split(images[:] if in_memory else images, labels)

    train, validation, test = (stack(i, name) for i, name in enumerate(SIZES))
    return Dataset(
        PREFIX + single.name,
        train,
        validation,
        test,
        tuple(map("-".join, itertools.product(single.label_names, repeat=CHANNELS))),
        fingerprint=f"stacked {single.digest()} {seed} {SIZES}",
        stacked=single,
    )


def mode_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """Maps the channels' labels, int [N, 3], to modes, int [N] in [0, classes^3)."""
    return np.asarray(labels @ classes ** np.arange(CHANNELS)[::-1])


@dataclasses.dataclass(frozen=True)
class Stack:
    """A `streaming.Source` that stacks images: channel c of image i is `images[indices[i, c]]`.

    Attributes:
      images: single images, uint8 [n, H, W, 1], an array or `Streamed`.
      indices: int32 [N, 3].
    """

    images: Any
    indices: np.ndarray
    dtype: Any = np.uint8
    processes: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.indices), *self.images.shape[1:3], CHANNELS

    def read(self, indices: np.ndarray) -> np.ndarray:
        single = self.indices[indices]  # [n, 3]
        return np.concatenate([self.images[single[:, i]] for i in range(CHANNELS)], axis=-1)
