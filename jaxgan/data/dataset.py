"""Datasets: their splits, labels, factors, and a digest that tells them apart."""

import dataclasses
import hashlib
import itertools
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError, printable
from jaxgan.config.keys import KEYS
from jaxgan.data.streaming import Concatenated, Streamed
from jaxgan.data.tagging.types import Rows, Tags, split_or_earlier

# Images that `Dataset.digest` reads at a time.
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class Split:
    """The examples of one split.

    Attributes:
      images: uint8 [N, H, W, C], or float32 for points; a NumPy array, or `streaming.Streamed` if
        they stay on disk (`first(n).images` is an array in either case).
      labels: int32 [N], or None.
      factors: the factors that the images were drawn from, float64 [N, F], or None.
      features: features that the networks are conditioned on, float32 [N, F], or None.
    """

    images: Any
    labels: np.ndarray | None
    factors: np.ndarray | None = None
    features: Rows | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray | slice) -> "Split":
        """Selects examples by index; streamed images stay streamed."""
        streamed = isinstance(self.images, Streamed)
        images = self.images.take(indices) if streamed else self.images[indices]
        return self._with_images(images, indices)

    def where(self, labels: list[int]) -> "Split":
        """Selects the examples with one of these labels."""
        assert self.labels is not None
        return self.take(np.flatnonzero(np.isin(self.labels, labels)))

    def first(self, n: int) -> "Split":
        """Reads the first n examples, or all if there are fewer, into memory."""
        return self._with_images(self.images[:n], slice(n))

    def _with_images(self, images: Any, indices: np.ndarray | slice) -> "Split":
        """These images, with the labels, factors and features at `indices`."""
        labels = None if self.labels is None else self.labels[indices]
        factors = None if self.factors is None else self.factors[indices]
        features = None if self.features is None else self.features.take(indices)
        return Split(images, labels, factors, features)

    def _drawn_at_random(self, rest: int) -> bool:
        """Whether the parts before and from `rest` on hold as many classes as in a random order."""
        if self.labels is None or not 0 < rest < len(self):
            return True
        found = sum(len(np.unique(part)) for part in np.split(self.labels, [rest]))
        counts, generator = np.bincount(self.labels), np.random.default_rng(0)
        held_out = generator.multivariate_hypergeometric(counts, len(self) - rest, 1_000)
        expected = (held_out > 0).sum(axis=1) + (held_out < counts).sum(axis=1)
        return bool(found >= expected.mean() - 4 * expected.std() - 0.5)

    def hold_out(
        self, count: int, name: str, shuffled: bool | None = False
    ) -> tuple["Split", "Split"]:
        """Splits into a training split and the last `count` examples, for validation.

        Args:
          count: number of examples to hold out.
          name: name of the dataset, for the message.
          shuffled: whether to apply a fixed permutation first, so that the first examples of either
            part are a random sample; None applies it if the labels show that the examples are not
            in random order, as in a file sorted by class.

        Raises:
          UserError: if nothing would be left to train on.
        """
        check_holding_out(count, len(self), name)
        rest = len(self) - count
        if shuffled is None:
            shuffled = not self._drawn_at_random(rest)
        if not shuffled:
            return self.take(slice(0, rest)), self.take(slice(rest, None))
        order = np.random.default_rng(0).permutation(len(self))
        return self.take(order[:rest]), self.take(order[rest:])


def joined(one: Split, other: Split) -> Split:
    """The images and labels of two splits of one dataset, one after the other."""
    images: Any
    if isinstance(one.images, Streamed):
        images = Streamed(Concatenated((one.images, other.images)))
    else:
        images = np.concatenate([one.images, other.images])
    labels = None
    if one.labels is not None and other.labels is not None:
        labels = np.concatenate([one.labels, other.labels])
    return Split(images, labels)


def check_holding_out(count: int, available: int, name: str) -> None:
    """Raises UserError if `count` held-out examples leave none of `available`; slow sources call it
    before they read."""
    if count >= available:
        raise UserError(
            f"dataset.validation={count}: {name} has {available} training images",
            "hold out fewer, so that a batch is left to train on; -1 is the dataset's default",
        )


def check_passed(config: ConfigDict, dataset: "Dataset") -> None:
    """Checks a dataset made in Python, as the readers of files check theirs.

    Raises:
      UserError: if examples are no images of one shape, their labels do not fit, a batch is larger
        than the training split, or a key of the config selects among examples that it names.
    """
    for path, remedy in (
        ("classes", "pass dataset.only(…)"),
        ("images", "pass dataset.limited(…)"),
        ("near_duplicates", "call data.near_duplicates.without_near_duplicates(split) first"),
    ):
        value = config.dataset[path]
        if value != KEYS[f"dataset.{path}"].default:
            what = f"dataset.{path}={value}: it has no effect on a dataset passed in"
            raise UserError(what, remedy)
    check_examples(dataset)
    batch = config.discriminator_batch_size or config.batch_size
    check_batch(batch, len(dataset.train), dataset.name)


def check_examples(dataset: "Dataset") -> None:
    """Raises UserError if examples are no images of one shape, or their labels do not fit."""
    parts = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    shape, kind = dataset.train.images.shape[1:], dataset.train.images.dtype
    points = kind == np.float32 and shape[:2] == (1, 1)
    for name, split in parts.items():
        where, images, labels = f"{dataset.name}: {name}", split.images, split.labels
        if len(images.shape) != 4 or not (images.dtype == np.uint8 or points):
            raise UserError(
                f"{where}: images are {images.dtype} {list(images.shape)}",
                "make them uint8 [N, H, W, C], from 0 to 255; float32 [N, 1, 1, D] are points",
            )
        if (images.shape[1:], images.dtype) != (shape, kind):
            what = f"{where}: {images.dtype} {images.shape[1:]}, training images {kind} {shape}"
            raise UserError(what, "make all splits of one shape and dtype")
        if labels is None:
            continue
        most = len(dataset.label_names)
        if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
            what = f"{where}: labels are {labels.dtype} {list(labels.shape)}"
            raise UserError(what, f"make them whole numbers [{len(images)}], one for each image")
        if len(labels) and not 0 <= labels.min() <= labels.max() < most:
            what = f"{where}: labels from {labels.min()} to {labels.max()}, with {most} names"
            raise UserError(what, "number them from 0, and name each in label_names")


def check_batch(size: int, images: int, name: str) -> None:
    """Raises UserError if a batch is larger than a training split of some images."""
    if size > images:
        fits = f"such as {2 ** (images.bit_length() - 1)}" if images > 1 else "and use more images"
        raise UserError(
            f"a batch of {size} is larger than {name}'s {images} training images (the others are"
            " held out)",
            f"lower batch_size (and discriminator_batch_size, if it is not 0), {fits}",
        )


class Modes(NamedTuple):
    """The modes of a mixture of Gaussians: centres, float64 [M, D], and one standard deviation."""

    centres: np.ndarray
    deviation: float


@dataclasses.dataclass(frozen=True)
class Factor:
    """A factor that images are drawn from: uniform from `low` to `high`, or, if `values` > 0, a
    category from 0 to values - 1."""

    name: str
    values: int = 0
    low: float = 0.0
    high: float = 1.0

    @property
    def categorical(self) -> bool:
        return self.values > 0

    def sample(self, generator: np.random.Generator, n: int) -> np.ndarray:
        """Draws n independent values, float64 [n]."""
        if self.categorical:
            return generator.integers(self.values, size=n).astype(np.float64)
        return generator.uniform(self.low, self.high, n)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three splits of one kind of image.

    Attributes:
      name: name of the dataset.
      train, validation, test: the splits; validation and test may be empty.
      label_names: names of the labels 0, 1, …; () without labels.
      fingerprint: identifies a source that is too large to hash at every start, or "".
      content: hash of the files of a folder that was read into memory, whose fingerprint has only
        their names and sizes; or "".
      unfiltered: the dataset before classes or near-duplicates were left out, or None.
      modes: the known modes if the examples are points, or None.
      factors: the factors that the images are drawn from (columns of `Split.factors`).
      draw: draws further images: factors, float64 [N, F] -> images [N, H, W, C].
      stacked: the dataset whose images are the channels of these images, or None.
      drawn_from: digest of the dataset before near-duplicates were left out, or "".
      alike: groups of near-duplicates, as indices into the original training split.
      tags: vocabulary and tagged images if the examples are word vectors, or None.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple[str, ...] = ()
    fingerprint: str = ""
    content: str = ""
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
        """The dataset before classes or near-duplicates were left out."""
        return self if self.unfiltered is None else self.unfiltered

    @property
    def points(self) -> bool:
        """Whether the examples are points of any range, not images."""
        return bool(self.train.images.dtype != np.uint8)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def feature_size(self) -> int:
        """Number of features that the networks are conditioned on; 0 without features."""
        return 0 if self.train.features is None else int(self.train.features.table.shape[1])

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels that occur in the training split, ascending; () without labels."""
        return () if self.train.labels is None else tuple(np.unique(self.train.labels).tolist())

    def split(self, name: str, least: int = 1) -> tuple[str, Split]:
        """`split_or_earlier` of this dataset's splits."""
        return split_or_earlier(self, name, least)

    def map_splits(self, function: Callable[[Split], Split], **changes: Any) -> "Dataset":
        """Applies a function to every split, and replaces other attributes."""
        for name in ("train", "validation", "test"):
            changes[name] = function(getattr(self, name))
        return dataclasses.replace(self, **changes)

    def digest(self) -> str:
        """SHA-256 (16 hex digits) of the fingerprint, or else of the training images and labels and
        the label names; the same for streamed images. Near-duplicates that were left out
        still count, because two machines may disagree on which images are near-duplicates."""
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
        """Selects classes, given by name or number and joined by "+"; "" selects all. Labels keep
        their numbers. Raises UserError for an unknown class."""
        if not classes:
            return self
        if not self.label_names:
            raise UserError(f"dataset.classes={classes}: {self.name} has no labels")
        labels = []
        for name in _split_classes(classes, self.label_names):
            labels.append(label_number(name, self.label_names))
            if labels[-1] < 0:
                raise UserError(
                    f"dataset.classes={classes}: {self.name} has no class '{name}'",
                    f"there are: {', '.join(self.label_names)}",
                )
        # `draw` would draw the other classes too.
        return self.map_splits(lambda split: split.where(labels), unfiltered=self.whole, draw=None)

    def limited(self, images: int) -> "Dataset":
        """Keeps the first training images only; 0 keeps all. Validation and test stay. Raises
        UserError if there are fewer."""
        if not images:
            return self
        if images > len(self.train):
            what = f"dataset.images={images}: {self.name} has {len(self.train)} training images"
            raise UserError(what, "choose fewer; 0 takes all")
        train = self.train.take(slice(0, images))
        return dataclasses.replace(self, train=train, unfiltered=self.whole)


def label_number(name: str, label_names: Sequence[str]) -> int:
    """The number of the label with this name, or written as a number; -1 if there is none. The
    names agree in either Unicode form (macOS writes é as two characters), and escaped or not."""
    wanted, *known = (unicodedata.normalize("NFC", printable(x)) for x in (name, *label_names))
    if wanted in known:
        return known.index(wanted)
    return int(name) if name.isdecimal() and int(name) < len(known) else -1


def _split_classes(classes: str, label_names: Sequence[str]) -> list[str]:
    """Splits at each "+" that is not part of a label's name, such as c++."""
    names: list[str] = []
    for part in classes.split("+"):
        # The longest known name that ends here wins.
        for start in range(len(names)):
            joined = "+".join([*names[start:], part])
            if label_number(joined, label_names) >= 0:
                names[start:] = [joined]
                break
        else:
            names.append(part)
    return names


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
