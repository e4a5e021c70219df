"""Stacked MNIST: three digits, drawn at random, as the channels of one image; 1,000 modes whose
number and shares are known.

Source: Metz et al. 2017 (unrolled GANs), section 3.3.1; 128,000 images as in Lin et al. 2018
(PacGAN). Any dataset of one channel with labels can be stacked: `stacked_digits` wants no download.

    image_i = (x_a, x_b, x_c),   label_i = (y_a K + y_b) K + y_c,   a, b, c uniform over the split

The splits are those of the single images, so that no test digit is ever trained on. An image is put
together when it is asked for: in memory are the single images, and three numbers for each image.
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
# As many test images as the protocol generates, so that real ones can be measured beside them.
SIZES = {"train": 128_000, "validation": 10_000, "test": 26_000}
SEED = 0


def load(single: Dataset, in_memory: bool = False, seed: int = SEED) -> Dataset:
    """Stacks a dataset's images, uint8 [N, H, W, 3], labelled with their modes.

    Args:
      single: uint8 images of one channel with labels; an empty split stays empty.
      in_memory: whether all images are put together now (301 MB to train on at 28x28).
      seed: of the draws; each split has a stream of its own.

    Raises:
      UserError: if `single` has no labels, or its images have not one channel.
    """
    if single.points or single.image_shape[2] != 1 or not single.label_names:
        raise UserError(
            f"dataset.name={PREFIX}{single.name}: {single.name} has not one channel and labels",
            f"take {PREFIX}digits or {PREFIX}mnist",
        )
    classes = len(single.label_names)
    splits = {}
    for i, (name, size) in enumerate(SIZES.items()):
        split: Split = getattr(single, name)
        count = size if len(split) else 0
        generator = np.random.default_rng([seed, i])
        places = generator.integers(max(len(split), 1), size=(count, CHANNELS), dtype=np.int32)
        assert split.labels is not None
        labels = mode_of(split.labels[places], classes).astype(np.int32)
        images: Any = Streamed(Stack(split.images, places))
        splits[name] = Split(images[:] if in_memory else images, labels)
    names = itertools.product(single.label_names, repeat=CHANNELS)
    return Dataset(
        PREFIX + single.name,
        splits["train"],
        splits["validation"],
        splits["test"],
        tuple(map("-".join, names)),
        fingerprint=f"stacked {single.digest()} {seed} {SIZES}",
        stacked=single,
    )


def mode_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """The number of each mode: int [N] in [0, classes^3) from the channels' labels, int [N, 3]."""
    return np.asarray(labels @ classes ** np.arange(CHANNELS)[::-1])


@dataclasses.dataclass(frozen=True)
class Stack:
    """Puts images together: channel c of image i is single image `places[i, c]`.

    Attributes:
      images: uint8 [n, H, W, 1], an array or `Streamed`.
      places: int32 [N, 3].
    """

    images: Any
    places: np.ndarray
    dtype: Any = np.uint8
    processes: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""
        return len(self.places), *self.images.shape[1:3], CHANNELS

    def read(self, places: np.ndarray) -> np.ndarray:
        """The images at `places`, int [n]: uint8 [n, H, W, 3]."""
        out = np.empty((len(places), *self.shape[1:]), np.uint8)
        for channel, of_channel in enumerate(self.places[places].T):
            out[..., channel] = self.images[of_channel][..., 0]
        return out

    def fingerprint(self) -> str:
        """Nothing but the shape: the dataset has its own."""
        return f"stack {self.shape}"
