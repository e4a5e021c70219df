"""Sizes of datasets, known before any data is read."""

import math
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.data.batches import Batch
from jaxgan.data.sources import stacked
from jaxgan.data.tagging.types import Rows
from jaxgan.training.gan import Gan


class Sizes(NamedTuple):
    """What a program's shapes depend on.

    Attributes:
      examples: size of the training split.
      shape: (H, W, C) of an example.
      classes: number of labels.
      features: number of features of each example; 0 without.
    """

    examples: int
    shape: tuple[int, int, int]
    classes: int = 10
    features: int = 0


# Training examples (after the validation split that the suite holds out by default) and channels.
_IMAGES = {
    "digits": (1_205, 1),
    "glyphs": (60_000, 1),
    "mnist": (55_000, 1),
    "fashion_mnist": (55_000, 1),
    "cifar10": (50_000, 3),
}
_RING = 10_000
# Pairs of glyphs and words, and the features of a glyph.
_GLYPH_TAGS, _GLYPH_FEATURES = 150_000, 256


def sizes(config: ConfigDict, examples: int | None) -> Sizes:
    """The sizes of the dataset that the config names.

    Args:
      config: a validated config.
      examples: size of the training split; None takes the known one.

    Raises:
      UserError: if the dataset's size is not known and `examples` is None.
    """
    name, size = config.dataset.name, config.dataset.size
    if name == "ring":
        return Sizes(examples or _RING, (1, 1, 2), 0)
    if config.system == "tags":
        words = (1, 1, config.dataset.vector_size)
        return Sizes(examples or _GLYPH_TAGS, words, 0, _GLYPH_FEATURES)
    single = name.removeprefix(stacked.PREFIX)
    known, channels = _IMAGES.get(single, (examples, config.dataset.channels or 3))
    if known is None:
        what = f"dataset.name={name}: its size is not known before it is read"
        raise UserError(what, "--examples=N, the number of training images")
    channels = config.dataset.channels or channels
    return Sizes(examples or known, (size, size, channels * (3 if single != name else 1)))


def training_split(gan: Gan, dataset: Sizes, sharding: jax.sharding.Sharding) -> Batch:
    """The shapes of the training split on the devices, as `program.flat_images` makes them."""

    def array(shape: tuple[int, ...], dtype: type) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    n = dataset.examples
    is_image = dataset.shape[:2] != (1, 1)
    images = array((n, math.prod(dataset.shape)), np.uint8 if is_image else np.float32)
    labels = array((n,), np.int32) if gan.config.condition.kind == "label" else None
    features = None
    if dataset.features:
        # A glyph has 25 words.
        table = array((-(-n // 25), dataset.features), np.float32)
        features = Rows(table, array((n,), np.int32))
    return Batch(images, labels, features)
