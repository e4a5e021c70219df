"""Datasets by name."""

import dataclasses

from ml_collections import ConfigDict

from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.streaming import ArraySource, Streamed


def load(config: ConfigDict) -> Dataset:
    """The dataset that `config.dataset` names, at the size it asks for.

    "digits" is embedded, "glyphs", "glyph_tags" and "ring" are drawn; "idx", "csv", "folder",
    "mirflickr" and "tags" are files that `dataset.data_dir` names; "stacked_" before one of images
    puts them together as channels; any other name is one of TensorFlow Datasets'.

    Raises:
      UserError: if the name is unknown, the data is not there, or a batch is larger than the data.
    """
    dataset = _source(config.dataset, config.dataset.name)
    if config.dataset.streamed == "yes":
        dataset = _streamed(dataset)
    dataset = dataset.only(config.dataset.classes)
    if config.dataset.near_duplicates == "leave_out":
        dataset = _without_near_duplicates(dataset)
    dataset.require_batch(config.discriminator_batch_size or config.batch_size)
    return dataset


def _source(wanted: ConfigDict, name: str) -> Dataset:
    size, validation = wanted.size, wanted.validation
    match name:
        case "digits":
            from jaxgan.data.sources import digits

            return digits.load(size)
        case "glyphs":
            from jaxgan.data.sources import glyphs

            return glyphs.load(size)
        case "glyph_tags":
            from jaxgan.data.tagging import glyph_tags

            return glyph_tags.load(wanted.vector_size, wanted.words, wanted.min_count)
        case "mirflickr":
            from jaxgan.data.tagging import tag_tables

            return tag_tables.load_mirflickr(
                wanted.data_dir,
                wanted.features,
                wanted.vector_size,
                wanted.words,
                wanted.min_count,
                validation,
            )
        case "tags":
            from jaxgan.data.tagging import tag_tables

            return tag_tables.load_table(
                wanted.data_dir, wanted.vector_size, wanted.words, wanted.min_count, validation
            )
        case "ring":
            from jaxgan.data.sources import ring

            return ring.load()
        case "idx":
            from jaxgan.data.sources import idx

            return idx.load(wanted.data_dir, size, validation)
        case "csv":
            from jaxgan.data.sources import kaggle_csv

            return kaggle_csv.load(wanted.data_dir, size, validation)
        case "folder":
            from jaxgan.data.sources import image_folder

            return image_folder.load(
                wanted.data_dir, size, validation, wanted.channels, wanted.streamed
            )
        case _ if name.startswith("stacked_"):
            from jaxgan.data.sources import stacked

            single = _source(wanted, name.removeprefix(stacked.PREFIX))
            return stacked.load(single, in_memory=wanted.streamed == "no")
        case _:
            from jaxgan.data.sources import tfds

            return tfds.load(name, wanted.data_dir, size, validation, wanted.streamed)


def _without_near_duplicates(dataset: Dataset) -> Dataset:
    """The training split without them; what measures a run is made of all images as ever."""
    from jaxgan.data.near_duplicates import left_out, near_duplicates

    groups = near_duplicates(dataset.train.images)
    return dataclasses.replace(
        dataset,
        train=left_out(dataset.train, groups),
        unfiltered=dataset.whole,
        drawn_from=dataset.digest(),
        alike=tuple(tuple(group.tolist()) for group in groups.members),
    )


def _streamed(dataset: Dataset) -> Dataset:
    """The same with every split streamed, also where the source is in memory."""

    def wrap(split: Split) -> Split:
        if isinstance(split.images, Streamed):
            return split
        return dataclasses.replace(split, images=Streamed(ArraySource(split.images)))

    return dataclasses.replace(
        dataset,
        train=wrap(dataset.train),
        validation=wrap(dataset.validation),
        test=wrap(dataset.test),
    )
