"""MNIST's IDX files: a big-endian header followed by the bytes, plain or gzipped.

Source of the format: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database (1998).
"""

import gzip
import itertools
import math
import os
import struct
import zlib

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.common.reading import reading
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.pixels import resize

# Third byte of the magic number: the type. The fourth is the number of dimensions.
_UNSIGNED_BYTES = 8
# MNIST's number of training images per digit, which tells it from other datasets in its format.
_MNIST = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def load(folder: str, size: int, validation: int = -1) -> Dataset:
    """Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and, if present, t10k-….

    The dataset's name is "mnist" or "idx". Without test files, its test split is empty.

    Args:
      folder: the folder; file names may end in .gz, and have a dot instead of the dash before
        "idx".
      size: images are resized to size x size x 1.
      validation: number of images held out at the end of the training files; -1 is 5,000 of 60,000,
        and a tenth of any other number.

    Raises:
      UserError: naming the file that is missing, invalid, too short or too long, or that does not
        match the others.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder", "set dataset.data_dir to an existing folder")
    train = _read_split(folder, "train", size)
    if train is None:
        raise UserError(
            f"{folder}: no train-images-idx3-ubyte",
            "set dataset.data_dir to the folder of the IDX files, plain or .gz",
        )
    test = _read_split(folder, "t10k", size) or train.first(0)
    assert train.labels is not None
    name = "mnist" if np.bincount(train.labels).tolist() == _MNIST else "idx"
    if validation < 0:
        validation = 5_000 if len(train) == 60_000 else len(train) // 10
    train, held_out = train.hold_out(validation, name, shuffled=None)
    return Dataset(name, train, held_out, test, label_names(train, held_out, test))


def label_names(*splits: Split) -> tuple[str, ...]:
    """Returns ("0", "1", …), at least ten, and enough for the highest label."""
    highest = [int(split.labels.max(initial=0)) for split in splits if split.labels is not None]
    return tuple(map(str, range(max(10, *(label + 1 for label in highest)))))


def _read_split(folder: str, prefix: str, size: int) -> Split | None:
    """Reads images and labels; None if both files are missing."""
    images_path = _find(folder, f"{prefix}-images", 3)
    labels_path = _find(folder, f"{prefix}-labels", 1)
    if images_path is None and labels_path is None:
        return None
    if images_path is None or labels_path is None:
        missing = "images-idx3" if labels_path else "labels-idx1"
        raise UserError(
            f"{labels_path or images_path}: no {prefix}-{missing}-ubyte next to it",
            "the images and their labels are two files, plain or .gz",
        )
    images, labels = read(images_path, 3), read(labels_path, 1)
    if not images.size:
        n, height, width = images.shape
        raise UserError(
            f"{images_path}: {n} images of {height} x {width} pixels", "there is nothing to read"
        )
    if len(images) != len(labels):
        raise UserError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
    return Split(resize(images[..., None], size), labels.astype(np.int32))


def _find(folder: str, name: str, dimensions: int) -> str | None:
    endings = itertools.product("-.", ("", ".gz"))
    paths = (os.path.join(folder, f"{name}{a}idx{dimensions}-ubyte{b}") for a, b in endings)
    return next(filter(os.path.isfile, paths), None)


def read(path: str, dimensions: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes with this number of dimensions; raises UserError for
    another format, or if the length contradicts the header."""
    opened = gzip.open if path.endswith(".gz") else open
    with reading(path, "fetch it again", (zlib.error,)), opened(path, "rb") as file:
        content = file.read()
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if content[:4] != magic[: len(content)]:
        raise UserError(
            f"{path}: not an IDX file of unsigned bytes in {dimensions} dimensions"
            f" (it begins with {content[:4].hex()}, not {magic.hex()})"
        )
    if len(content) < header:
        raise UserError(f"{path}: {len(content)} bytes, the header has {header}", "fetch it again")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise UserError(
            f"{path}: {len(content):,} bytes, but its header says {expected:,}", "fetch it again"
        )
    return np.frombuffer(content, np.uint8)[header:].reshape(shape)
