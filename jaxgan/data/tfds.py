"""Any dataset of TensorFlow Datasets that has one image and perhaps a label.

Read through `tfds.data_source`, without TensorFlow; never downloaded or prepared from here.
"""

import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan.config import UserError
from jaxgan.data.dataset import Dataset, Split, resize

# How many images at the end of the training split are held out, where the source has no validation
# split of its own and the config does not say: MNIST's 5,000 leave the 55,000 that TensorFlow's
# reader trained on.
HELD_OUT = {"mnist": 5000, "fashion_mnist": 5000, "cifar10": 0}


def load(name: str, data_dir: str, size: int, validation: int = -1) -> Dataset:
    """Reads a prepared dataset into memory.

    Args:
      name: TFDS's name, such as "mnist" or "emnist/letters".
      data_dir: the folder that holds prepared datasets; "" is the environment's TFDS_DATA_DIR, or
        TFDS's own default.
      size: images are brought to size x size (central square, bicubic).
      validation: how many images at the end of the training split are held out; -1 is the
        source's own validation split, or `HELD_OUT`, or a tenth.

    Raises:
      UserError: if there is no dataset of that name, it is not prepared, it is prepared in a
        format that needs TensorFlow, or it has no single image.
    """
    builder = _builder(name, data_dir)
    features = builder.info.features
    keys = [key for key, kind in features.items() if type(kind).__name__ == "Image"]
    if len(keys) != 1:
        raise UserError(f"dataset.name={name}: {len(keys)} image features, 1 is wanted")
    if features[keys[0]].np_dtype != np.uint8:
        raise UserError(f"dataset.name={name}: its images are not of 8 bits a channel")
    labels = features["label"] if "label" in features else None
    label_names = tuple(getattr(labels, "names", ()))
    splits = builder.info.splits
    if "train" not in splits:
        raise UserError(f"dataset.name={name}: no training split (it has {', '.join(splits)})")

    def read(split: str) -> Split:
        return _read(builder, split, keys[0], bool(label_names), size)

    train = read("train")
    if validation < 0 and "validation" in splits:
        held_out = read("validation")
    else:
        count = HELD_OUT.get(name, len(train) // 10) if validation < 0 else validation
        train, held_out = _hold_out(train, count, name)
    test = read("test") if "test" in splits else train.first(0)
    return Dataset(name, train, held_out, test, label_names)


def _hold_out(split: Split, count: int, name: str) -> tuple[Split, Split]:
    rest = len(split) - count
    if rest < 1:
        raise UserError(f"dataset.validation={count}: {name} has {len(split)} training images")
    labels = split.labels
    return split.first(rest), Split(split.images[rest:], None if labels is None else labels[rest:])


def _builder(name: str, data_dir: str) -> Any:
    # TFDS logs to absl's root logger that OpenCV is missing and that other formats lie beside.
    logging.getLogger("absl").setLevel(logging.ERROR)
    import tensorflow_datasets as tfds

    folder = os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "")
    if folder and not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder", "dataset.data_dir or TFDS_DATA_DIR names it")
    try:
        builder = tfds.builder(name, data_dir=folder or None)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError, ImportError):
        raise UserError(
            f"dataset.name={name}: neither 'digits' nor a dataset of TensorFlow Datasets"
        ) from None
    prepared = bool(builder.info.splits)
    if not prepared or builder.info.file_format.value not in ("array_record", "parquet"):
        where = os.path.dirname(os.path.dirname(str(builder.data_path)))
        base = name.partition("/")[0]
        found = "its files need TensorFlow to read" if prepared else "it is not there"
        raise UserError(
            f"dataset {name} in {folder or where}: {found}",
            "prepare it: .venv/bin/pip install -e '.[prepare]' && .venv/bin/tfds build "
            f"{base} --file_format=array_record{f' --data_dir={folder}' if folder else ''};"
            " or point --config.dataset.data_dir or TFDS_DATA_DIR at the folder that holds it",
        )
    return builder


def _read(builder: Any, split: str, key: str, labelled: bool, size: int) -> Split:
    from PIL import UnidentifiedImageError

    source = builder.as_data_source(split=split)
    images, labels = [], []
    try:
        for record in _in_blocks(source):
            image = record[key]
            square = (size, size) == image.shape[:2]
            images.append(image if square else resize(image[None], size)[0])
            labels.append(record["label"] if labelled else 0)
    except (OSError, UnidentifiedImageError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{builder.data_path}: split {split} cannot be read ({str(error).splitlines()[0]})",
            "prepare the dataset again",
        ) from error
    return Split(np.stack(images), np.asarray(labels, np.int32) if labelled else None)


def _in_blocks(source: Any, block: int = 4096) -> Iterator[dict[str, Any]]:
    # One request for many records is some ten times faster than one for each.
    for start in range(0, len(source), block):
        yield from source.__getitems__(range(start, min(start + block, len(source))))
