"""Tagged images: features of images, word vectors, and which words are tags of which image."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Rows of a table that examples share, as the tags of an image share its features.

    Attributes:
      table: float32 [M, F].
      places: the index of each example's row, int32 [N].
    """

    table: Any
    places: Any

    def at(self, key: Any) -> Any:
        """Returns the rows of the examples at `key`, [..., F]."""
        return self.table[self.places[key]]

    def take(self, key: Any) -> "Rows":
        """Selects the examples at `key`; the table stays."""
        return Rows(self.table, self.places[key])


class WordVectors(NamedTuple):
    """Words and their vectors, float32 [V, D]."""

    words: tuple[str, ...]
    vectors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tagged:
    """The images of one split.

    Attributes:
      features: float32 [M, F].
      tags: for each image the indices of its words, int32, ascending, at least one.
      numbers: the source's numbers of the images, int64 [M].
    """

    features: np.ndarray
    tags: tuple[np.ndarray, ...]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def first(self, n: int) -> "Tagged":
        """Returns the first n images, or all if there are fewer."""
        return Tagged(self.features[:n], self.tags[:n], self.numbers[:n])


@dataclasses.dataclass(frozen=True)
class Tags:
    """Tagged images, from which a dataset's (image, word) pairs are made.

    Attributes:
      vocabulary: the words, frozen.
      train, validation, test: the images; no image is in two splits.
      picture: maps an image's number to the image, uint8 [H, W, C]; None with features only.
      read: maps the path of an image file to its features, float32 [F]; raises UserError.
    """

    vocabulary: WordVectors
    train: Tagged
    validation: Tagged
    test: Tagged
    picture: Callable[[int], np.ndarray] | None
    read: Callable[[str], np.ndarray]

    def find(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the features and the tags of the image of that number, or None."""
        for split in (self.train, self.validation, self.test):
            (found,) = np.nonzero(split.numbers == number)
            if len(found):
                return split.features[found[0]], split.tags[found[0]]
        return None

    def split(self, name: str) -> tuple[str, Tagged]:
        """`split_or_earlier` of the images."""
        return split_or_earlier(self, name)


def split_or_earlier(splits: Any, name: str, least: int = 1) -> tuple[str, Any]:
    """Returns the split `name` with its name. A split of fewer than `least` examples is replaced by
    the one before it (order: train, validation, test); train has no minimum."""
    order = ("train", "validation", "test")
    i = order.index(name)
    while i and len(getattr(splits, order[i])) < least:
        i -= 1
    return order[i], getattr(splits, order[i])
