"""Sizes of datasets, known before any data is read."""

import math
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.data.batches import Batch
from jaxgan.data.dataset import check_batch, check_holding_out
from jaxgan.data.sources import glyphs, ring, stacked, tfds
from jaxgan.data.streaming import wanted
from jaxgan.data.tagging import glyph_features, glyph_tags
from jaxgan.data.tagging.types import Rows
from jaxgan.training.gan import Gan
from jaxgan.training.program import row_major


class Sizes(NamedTuple):
    """What a program's shapes depend on.

    Attributes:
      examples: size of the training split.
      shape: (H, W, C) of an example.
      classes: number of labels.
      images: number of images whose features the examples share; 0 without features.
      features: number of features of an image; 0 without.
      resident: whether the training split lies on the devices; else it is streamed.
    """

    examples: int
    shape: tuple[int, int, int]
    classes: int = 10
    images: int = 0
    features: int = 0
    resident: bool = True


# Training images of the datasets that are downloaded, before a validation split is held out.
_DOWNLOADED = {"mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000}
_CHANNELS = {"cifar10": 3, "idx": 1, "csv": 1}
_DIGITS = 1_205


def sizes(config: ConfigDict, examples: int | None, classes: int | None = None) -> Sizes:
    """The sizes of the dataset that the config names.

    Args:
      config: a validated config.
      examples: size of the training split; None takes the known one.
      classes: number of labels; None takes the known one.

    Raises:
      UserError: if a size is not known and not given.
    """
    name, size = config.dataset.name, config.dataset.size
    if name == "ring":
        return Sizes(examples or ring.SIZES["train"], (1, 1, 2), 0)
    if config.system == "tags":
        return _tag_sizes(config, examples)
    examples = examples or config.dataset.images or None
    known = _training_images(config)
    some = [part for part in config.dataset.classes.split("+") if part]
    if examples is None and (known is None or some):
        of = f" of classes={config.dataset.classes}" if some else ""
        what = f"dataset.name={name}{of}: the number of images is not known before they are read"
        raise UserError(what, "--examples=N, the number of training images")
    if known is None and classes is None and config.condition.kind == "label":
        what = f"dataset.name={name}: the number of labels is not known before they are read"
        raise UserError(what, "--classes=N")
    single = name.removeprefix(stacked.PREFIX)
    channels = config.dataset.channels or _CHANNELS.get(single, 1 if known else 3)
    shape = (size, size, stacked.CHANNELS if single != name else channels)
    n = examples or known or 0
    check_batch(config.discriminator_batch_size or config.batch_size, n, name)
    # Images of several digits are put together when they are needed, unless streamed=no.
    streamed = single != name and config.dataset.streamed != "no"
    resident = not (streamed or wanted(config.dataset.streamed, (n, *shape)))
    # Labels are as wide as those of all classes, also where a few were chosen.
    labels = 1_000 if single != name else classes or 10
    return Sizes(n, shape, labels, resident=resident)


def _training_images(config: ConfigDict) -> int | None:
    """The number of training images of the whole dataset; None if it is not known."""
    name, held_out = config.dataset.name, config.dataset.validation
    if name.startswith(stacked.PREFIX):
        return stacked.SIZES["train"]
    if name in _DOWNLOADED:
        count = tfds.HELD_OUT[name] if held_out < 0 else held_out
        check_holding_out(count, _DOWNLOADED[name], name)
        return _DOWNLOADED[name] - count
    return {"digits": _DIGITS, "glyphs": glyphs.SIZES["train"]}.get(name)


def _tag_sizes(config: ConfigDict, examples: int | None) -> Sizes:
    if config.dataset.name != "glyph_tags":
        what = (
            f"dataset.name={config.dataset.name}: its features are not known before they are read"
        )
        raise UserError(what, "configs/tags.py alone has the same networks on glyphs")
    images = glyph_tags.SIZES["train"]
    words = sum(len(one[0]) for one in glyph_tags.WORDS.values())
    return Sizes(
        examples or images * words,
        (1, 1, config.dataset.vector_size),
        0,
        images,
        glyph_features.FEATURES,
    )


def training_split(gan: Gan, dataset: Sizes, sharding: jax.sharding.Sharding) -> Batch | None:
    """The shapes of the training split on the devices, as `program.flat_images` makes them; None
    for one that is streamed."""
    if not dataset.resident:
        return None
    split = _batch(gan, dataset, (dataset.examples,), (math.prod(dataset.shape),), sharding)
    return jax.tree.map(lambda x: x.update(sharding=row_major(sharding, len(x.shape))), split)


def streamed_examples(
    gan: Gan, dataset: Sizes, shape: tuple[int, ...], sharding: jax.sharding.Sharding
) -> Batch:
    """The shapes of a call's examples, each `shape`, of a training split that is streamed."""
    return _batch(gan, dataset, shape, dataset.shape, sharding)


def _batch(
    gan: Gan,
    dataset: Sizes,
    leading: tuple[int, ...],
    image: tuple[int, ...],
    sharding: jax.sharding.Sharding,
) -> Batch:
    def array(shape: tuple[int, ...], dtype: type) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    is_image = dataset.shape[:2] != (1, 1)
    images = array((*leading, *image), np.uint8 if is_image else np.float32)
    labels = array(leading, np.int32) if gan.config.condition.kind == "label" else None
    features = None
    if dataset.features:
        table = array((dataset.images, dataset.features), np.float32)
        features = Rows(table, array(leading, np.int32))
    return Batch(images, labels, features)
