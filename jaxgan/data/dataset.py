"""What a dataset is, and the one conversion between its bytes and a network's numbers."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.streaming import Streamed
from jaxgan.data.tagging.types import Rows, Tags

# How many images `Dataset.digest` reads at a time.
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class Split:
    """Images, [N, H, W, C], uint8 or (points, not pictures) float32, their labels, int32 [N], the
    factors that they were drawn from, float64 [N, F], and the features that are their condition,
    float32 [N, F] (each None where there are none).

    The images are a NumPy array, or a `streaming.Streamed` where they stay on the disk; whoever
    needs an array whatever the size takes `first(n).images`.
    """

    images: Any
    labels: np.ndarray | None
    factors: np.ndarray | None = None
    features: Rows | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, places: np.ndarray | slice) -> "Split":
        """The examples at these places; streamed images stay streamed."""
        streamed = isinstance(self.images, Streamed)
        images = self.images.take(places) if streamed else self.images[places]
        return Split(images, *self._beside(places))

    def where(self, labels: list[int]) -> "Split":
        """The examples with one of these labels."""
        assert self.labels is not None
        return self.take(np.flatnonzero(np.isin(self.labels, labels)))

    def first(self, n: int) -> "Split":
        """The first n examples (all, where there are fewer), in memory."""
        return Split(self.images[:n], *self._beside(slice(n)))

    def _beside(self, places: np.ndarray | slice) -> tuple[Any, Any, Any]:
        """The labels, the factors and the features of the examples at these places."""
        labels = None if self.labels is None else self.labels[places]
        factors = None if self.factors is None else self.factors[places]
        return labels, factors, None if self.features is None else self.features.take(places)

    def hold_out(self, count: int, name: str, shuffled: bool = False) -> tuple["Split", "Split"]:
        """What is left to train on, and `count` examples held out for validation.

        Args:
          count: of examples; the last ones, so that two runs hold out the same.
          name: of the dataset, for the message.
          shuffled: the last ones of a fixed permutation instead, for a source in the order of its
            classes. Both parts keep the permutation's order, so that the first examples of either
            are a fair sample of it.

        Raises:
          UserError: if nothing would be left.
        """
        check_holding_out(count, len(self), name)
        rest = len(self) - count
        if not shuffled:
            return self.take(slice(0, rest)), self.take(slice(rest, None))
        order = np.random.default_rng(0).permutation(len(self))
        return self.take(order[:rest]), self.take(order[rest:])


def check_holding_out(count: int, there: int, name: str) -> None:
    """Raises UserError if nothing would be left of `there` examples to train on; a source that
    takes long to read asks before."""
    if count >= there:
        raise UserError(
            f"dataset.validation={count}: {name} has {there} training images",
            "hold out fewer, and leave a batch to train on; -1 is the source's own number",
        )


class Modes(NamedTuple):
    """Where a mixture of Gaussians has its modes: centres, float64 [M, D], and their standard
    deviation."""

    centres: np.ndarray
    deviation: float


@dataclasses.dataclass(frozen=True)
class Factor:
    """One of the things that images are drawn from: a number, uniform from `low` to `high`, or,
    where `values` is above 0, one of so many categories, counted from 0."""

    name: str
    values: int = 0
    low: float = 0.0
    high: float = 1.0

    @property
    def categorical(self) -> bool:
        return self.values > 0

    def sample(self, generator: np.random.Generator, n: int) -> np.ndarray:
        """n independent draws, float64 [n]."""
        if self.categorical:
            return generator.integers(self.values, size=n).astype(np.float64)
        return generator.uniform(self.low, self.high, n)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three splits of one kind of image (validation and test may be empty), and the names of the
    labels.

    The fingerprint is there where the images are too many to hash them all at every start; the
    modes where the examples are points drawn around known centres; the factors where the images
    are drawn from known ones (the columns of `Split.factors`), with `draw`, which draws more:
    from float64 [N, F] images [N, H, W, C]; `stacked` where the images' channels are images of
    another dataset; `tags` where the examples are vectors of words that images are tagged with;
    `drawn_from` the digest of the dataset before near-duplicates were left out of it, and `alike`
    their groups, by the places that they had in its training split.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple[str, ...] = ()
    fingerprint: str = ""
    unfiltered: "Dataset | None" = None
    modes: Modes | None = None
    factors: tuple[Factor, ...] = ()
    draw: Callable[[np.ndarray], np.ndarray] | None = None
    stacked: "Dataset | None" = None
    drawn_from: str = ""
    alike: tuple[tuple[int, ...], ...] = ()
    tags: Tags | None = None

    @property
    def whole(self) -> "Dataset":
        """The dataset with all its classes."""
        return self if self.unfiltered is None else self.unfiltered

    @property
    def points(self) -> bool:
        """Whether the examples are numbers of any range, and not pictures."""
        return bool(self.train.images.dtype != np.uint8)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def feature_size(self) -> int:
        """How many features the condition of an example has; 0 for none."""
        return 0 if self.train.features is None else int(self.train.features.table.shape[1])

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels that occur in the training split, ascending; () where there are none."""
        return () if self.train.labels is None else tuple(np.unique(self.train.labels).tolist())

    def split(self, name: str, least: int = 1) -> tuple[str, Split]:
        """The split of that name, or where it has not `least` examples the one before it ("train",
        "validation", "test") that has, with its own name; "train" stands in whatever it has."""
        order = ("train", "validation", "test")
        here = order.index(name)
        while here and len(getattr(self, order[here])) < least:
            here -= 1
        return order[here], getattr(self, order[here])

    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) that tells two datasets apart: of the source's
        fingerprint, or else of the training images, their labels and the labels' names; the same
        whether they are streamed or not. Where near-duplicates are left out it is that of all
        images: another machine may judge a few of them otherwise."""
        if self.drawn_from:
            return _sha256([f"{self.drawn_from} without near-duplicates".encode()])
        if self.fingerprint:
            return _sha256([f"{self.fingerprint} {self.train.images.shape}".encode()])
        images, labels = self.train.images, self.train.labels
        starts = range(0, len(images), _BLOCK)
        blocks = (images[start : start + _BLOCK].tobytes() for start in starts)
        label_bytes = b"" if labels is None else labels.astype("<i4").tobytes()
        names = json.dumps([images.shape, labels is not None, self.label_names]).encode()
        return _sha256(itertools.chain(blocks, [label_bytes, names]))

    def only(self, classes: str) -> "Dataset":
        """The examples of some classes, given by name or number and joined by "+"; "" is all.

        Labels keep their numbers.

        Raises:
          UserError: if a class is not there.
        """
        if not classes:
            return self
        if not self.label_names:
            raise UserError(f"dataset.classes={classes}: {self.name} has no labels")
        wanted = []
        for name in classes.split("+"):
            if name in self.label_names:
                wanted.append(self.label_names.index(name))
            elif name.isdigit() and int(name) < len(self.label_names):
                wanted.append(int(name))
            else:
                raise UserError(
                    f"dataset.classes={classes}: {self.name} has no class '{name}'",
                    f"there are: {', '.join(self.label_names)}",
                )
        return dataclasses.replace(
            self,
            train=self.train.where(wanted),
            validation=self.validation.where(wanted),
            test=self.test.where(wanted),
            unfiltered=self.whole,
            draw=None,  # It would draw the other classes too.
        )

    def require_batch(self, size: int) -> None:
        """Raises UserError if a batch is larger than the training split."""
        if size > len(self.train):
            raise UserError(
                f"a batch of {size} is larger than {self.name}'s {len(self.train)} training images",
                "lower batch_size (or discriminator_batch_size)",
            )


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
