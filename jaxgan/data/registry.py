"""Datasets by name."""

import dataclasses
import os

from ml_collections import ConfigDict

from jaxgan.common import buckets
from jaxgan.config.keys import FROM_FILES
from jaxgan.data.dataset import Dataset, Split, check_batch
from jaxgan.data.streaming import ArraySource, Streamed


def load(config: ConfigDict) -> Dataset:
    """Loads the dataset that `config.dataset` names.

    "digits" is built in; "glyphs", "glyph_tags" and "ring" are generated; "idx", "csv", "folder",
    "mirflickr" and "tags" are files at `dataset.data_dir`; "stacked_NAME" stacks images of NAME as
    channels; any other name is one of TensorFlow Datasets.

    Raises:
      UserError: if the name is unknown, the data is missing, or a batch is larger than the data.
    """
    dataset = _source(config.dataset, config.dataset.name)
    if config.dataset.streamed == "yes":
        dataset = dataset.map_splits(_streamed)
    dataset = dataset.only(config.dataset.classes).limited(config.dataset.images)
    if config.dataset.near_duplicates == "leave_out":
        dataset = _without_near_duplicates(dataset)
    batch = config.discriminator_batch_size or config.batch_size
    check_batch(batch, len(dataset.train), dataset.name)
    return dataset


def _local(path: str) -> str:
    """A local path of a file or folder, "" for none."""
    return os.path.expanduser(buckets.fetched(path)) if path else ""


def _source(options: ConfigDict, name: str) -> Dataset:
    # Not at the top: worker processes that only read images need no JAX.
    from jaxgan.data.sources import digits, glyphs, idx, image_folder, kaggle_csv, ring, stacked
    from jaxgan.data.tagging import glyph_tags, tag_tables

    path = _local(options.data_dir) if name in FROM_FILES else options.data_dir
    size, validation = options.size, options.validation
    words = options.vector_size, _local(options.words), options.min_count
    match name:
        case "digits":
            return digits.load(size)
        case "glyphs":
            return glyphs.load(size)
        case "ring":
            return ring.load()
        case "idx":
            return idx.load(path, size, validation)
        case "csv":
            return kaggle_csv.load(path, size, validation)
        case "folder":
            return image_folder.load(
                path, size, validation, options.channels, options.streamed, options.fit
            )
        case "glyph_tags":
            return glyph_tags.load(*words)
        case "mirflickr":
            return tag_tables.load_mirflickr(path, _local(options.features), *words, validation)
        case "tags":
            return tag_tables.load_table(path, *words, validation)
        case _ if name.startswith(stacked.PREFIX):
            single = _source(options, name.removeprefix(stacked.PREFIX))
            return stacked.load(single, in_memory=options.streamed == "no")
        case _:
            from jaxgan.data.sources import tfds

            return tfds.load(name, path, size, validation, options.streamed)


def _without_near_duplicates(dataset: Dataset) -> Dataset:
    """Leaves them out of the training split; metrics use `unfiltered`, with all images."""
    from jaxgan.data.near_duplicates import left_out, near_duplicates

    groups = near_duplicates(dataset.train.images)
    return dataclasses.replace(
        dataset,
        train=left_out(dataset.train, groups),
        unfiltered=dataset.whole,
        drawn_from=dataset.digest(),
        alike=tuple(tuple(group.tolist()) for group in groups.members),
    )


def _streamed(split: Split) -> Split:
    if isinstance(split.images, Streamed):
        return split
    return dataclasses.replace(split, images=Streamed(ArraySource(split.images)))
