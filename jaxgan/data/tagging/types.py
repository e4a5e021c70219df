"""What images with tags are: features of images, words, and which word fits which image."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Rows of a table where many examples share one, as the tags of one image share its features.

    Attributes:
      table: float32 [M, F].
      places: int32 [N], of each example's row.
    """

    table: Any
    places: Any

    def at(self, key: Any) -> Any:
        """The rows of the examples at `key`, [..., F]."""
        return self.table[self.places[key]]

    def take(self, key: Any) -> "Rows":
        """The same table for the examples at `key`."""
        return Rows(self.table, self.places[key])


class WordVectors(NamedTuple):
    """A language model's words, and their vectors, float32 [V, D]."""

    words: tuple[str, ...]
    vectors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tagged:
    """The images of one split.

    Attributes:
      features: float32 [M, F].
      tags: int32 arrays, one an image: the numbers of its words, ascending, at least one.
      numbers: int64 [M], by which the source knows the images.
    """

    features: np.ndarray
    tags: tuple[np.ndarray, ...]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def first(self, n: int) -> "Tagged":
        """The first n images (all, where there are fewer)."""
        return Tagged(self.features[:n], self.tags[:n], self.numbers[:n])


@dataclasses.dataclass(frozen=True)
class Tags:
    """What a dataset of tagged images has besides its pairs of (image, word).

    Attributes:
      vocabulary: the words, frozen.
      train, validation, test: the images; none is in two of them.
      picture: from an image's number to the image, uint8 [H, W, C]; None where there are features
        only.
      read: from the name of an image file to its features, float32 [F]; raises UserError where it
        cannot.
    """

    vocabulary: WordVectors
    train: Tagged
    validation: Tagged
    test: Tagged
    picture: Callable[[int], np.ndarray] | None
    read: Callable[[str], np.ndarray]

    def find(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The features and the tags of an image, None where there is none of that number."""
        for split in (self.train, self.validation, self.test):
            (places,) = np.nonzero(split.numbers == number)
            if len(places):
                return split.features[places[0]], split.tags[places[0]]
        return None

    def split(self, name: str) -> tuple[str, Tagged]:
        """The images of that name, or, where there are none, those of the split before, with its
        own name."""
        order = ("train", "validation", "test")
        here = order.index(name)
        while here and not len(getattr(self, order[here])):
            here -= 1
        return order[here], getattr(self, order[here])
