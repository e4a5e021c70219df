"""Any dataset of TensorFlow Datasets whose examples have one image and possibly a label.

It is read through `tfds.data_source`, without TensorFlow, and never downloaded or prepared here.
"""

import contextlib
import dataclasses
import functools
import gc
import logging
import os
import re
import sys
import sysconfig
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.reading import parsing, reading
from jaxgan.data import streaming
from jaxgan.data.dataset import Dataset, Split, check_holding_out
from jaxgan.data.pixels import resize
from jaxgan.data.streaming import Streamed

# Training images held out if neither the source nor the config sets a validation split. MNIST's
# 5,000 leave 55,000, as TensorFlow's `read_data_sets` did.
HELD_OUT = {"mnist": 5000, "fashion_mnist": 5000, "cifar10": 0}
# A name of a dataset, perhaps with a configuration and a version. TFDS also takes a namespace, from
# which it downloads code, arguments of the dataset's class, and a configuration "..".
_NAME = re.compile(r"(?P<dataset>[A-Za-z]\w*)(/\w[\w.+-]*)?(:[\d*]+\.[\d*]+\.[\d*]+)?")
_OWN_FEATURE = re.compile(r"tensorflow_datasets\.core\.features\.\w+\.\w+")
# Records per request: one request for many is ten times faster than one for each.
_BLOCK = 4096


def load(
    name: str, data_dir: str, size: int, validation: int = -1, streamed: str = "auto"
) -> Dataset:
    """Reads a prepared dataset into memory, or streams it.

    Args:
      name: TFDS name, such as "mnist" or "emnist/letters".
      data_dir: the folder that holds prepared datasets; "" is the environment's TFDS_DATA_DIR, or
        TFDS's own default.
      size: images are resized to size x size (central square, bicubic).
      validation: number of images held out at the end of the training split; -1 is the source's own
        validation split, else `HELD_OUT`, else a tenth.
      streamed: the key dataset.streamed; labels are read now in any case.

    Raises:
      UserError: if there is no dataset of that name, it is not prepared or in a format that needs
        TensorFlow, or it does not have exactly one image.
    """
    builder = _builder(name, data_dir)
    features = builder.info.features
    keys = [key for key, kind in features.items() if type(kind).__name__ == "Image"]
    if len(keys) != 1:
        raise UserError(f"dataset.name={name}: {len(keys)} image features, not 1")
    if features[keys[0]].np_dtype != np.uint8:
        raise UserError(f"dataset.name={name}: its images are not of 8 bits a channel")
    labels = features["label"] if "label" in features else None
    label_names = tuple(getattr(labels, "names", ()))
    splits = builder.info.splits
    if "train" not in splits:
        raise UserError(f"dataset.name={name}: no training split (it has {', '.join(splits)})")
    own_validation = "validation" in splits and validation < 0
    available = splits["train"].num_examples
    dataset = re.split("[/:]", name)[0]
    held_out_count = HELD_OUT.get(dataset, available // 10) if validation < 0 else validation
    if not own_validation:
        check_holding_out(held_out_count, available, name)
    names = ("train", "validation", "test") if own_validation else ("train", "test")
    sources = {s: TfdsSource(builder, s, keys[0], size) for s in names if s in splits}
    shape = (sum(source.shape[0] for source in sources.values()), *sources["train"].shape[1:])
    # Smaller datasets are hashed by content, as their runs recorded it.
    fingerprint = sources["train"].fingerprint() if streaming.too_large(shape) else ""
    stream, labelled = streaming.wanted(streamed, shape), bool(label_names)
    found = {
        split: Split(Streamed(source), source.labels() if labelled else None)
        if stream
        else source.read_all(labelled)
        for split, source in sources.items()
    }
    train, test = found["train"], found.get("test", found["train"].first(0))
    if own_validation:
        held_out = found["validation"]
    else:
        train, held_out = train.hold_out(held_out_count, name)
    return Dataset(name, train, held_out, test, label_names, fingerprint)


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """A `streaming.Source` of one split.

    Attributes:
      builder: TFDS builder.
      split: name of the split.
      key: name of the image feature.
      size: H and W.
    """

    builder: Any
    split: str
    key: str
    size: int
    dtype: Any = np.uint8
    processes: bool = False  # Threads do: TFDS reads and decodes without Python's lock.

    @property
    def shape(self) -> tuple[int, int, int, int]:
        channels = self.builder.info.features[self.key].shape[-1]
        return self.builder.info.splits[self.split].num_examples, self.size, self.size, channels

    @functools.cached_property
    def _records(self) -> Any:
        return self.builder.as_data_source(split=self.split)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self._read(indices, labelled=False).images

    def read_all(self, labelled: bool) -> Split:
        """Reads all images, and their labels, into memory."""
        return self._read(np.arange(self.shape[0]), labelled)

    def _read(self, indices: np.ndarray, labelled: bool) -> Split:
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)
        labels = np.zeros(len(indices), np.int32) if labelled else None
        with self._reading():
            for i, record in enumerate(_in_blocks(self._records, indices)):
                image = record[self.key]
                fits = image.shape[:2] == (self.size, self.size)
                images[i] = image if fits else resize(image[None], self.size)[0]
                if labels is not None:
                    labels[i] = record["label"]
        return Split(images, labels)

    def labels(self) -> np.ndarray:
        """Reads the labels, int32 [N], without decoding images."""
        import tensorflow_datasets as tfds

        with self._reading():
            records = self.builder.as_data_source(
                split=self.split, decoders={self.key: tfds.decode.SkipDecoding()}
            )
            blocks = _in_blocks(records, np.arange(self.shape[0]))
            return np.asarray([record["label"] for record in blocks], np.int32)

    def fingerprint(self) -> str:
        info = self.builder.info
        return f"tfds {info.full_name} {self.split} {self.shape}"

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        named = f"{self.builder.data_path}: split {self.split}"
        return reading(named, "prepare the dataset again", (RuntimeError,))


def _in_blocks(records: Any, indices: np.ndarray) -> Iterator[dict[str, Any]]:
    for start in range(0, len(indices), _BLOCK):
        yield from records.__getitems__(indices[start : start + _BLOCK].tolist())


def _builder(name: str, data_dir: str) -> Any:
    # TFDS logs to absl's root logger that OpenCV is missing and that there are other file formats.
    logging.getLogger("absl").setLevel(logging.ERROR)
    if "tensorflow_datasets" not in sys.modules:
        # While TFDS is being imported, other imports fail. Garbage that imports when it is
        # finalised, such as the locks of an ended process pool, would print tracebacks: it is
        # collected before.
        gc.collect()
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError
    from PIL import EpsImagePlugin

    # TFDS decodes with Pillow, which would run Ghostscript for a record in PostScript.
    EpsImagePlugin.gs_binary = False
    unknown = UserError(
        f"dataset.name={name}: neither digits, glyphs, ring, idx, csv or folder nor a dataset of"
        " TensorFlow Datasets"
    )
    named = _NAME.fullmatch(name)
    if named is None:
        raise unknown
    folder = os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "")
    # Of a bucket with all datasets only this one's files.
    folder = buckets.fetched(folder, f"{named['dataset']}/")
    if folder and not os.path.isdir(folder):
        raise UserError(
            f"dataset {name}: {folder}: no such folder",
            "set dataset.data_dir or TFDS_DATA_DIR to it",
        )
    files = os.path.join(folder or tfds.core.constants.DATA_DIR, named["dataset"])
    damaged = (ParseError, ImportError)
    with parsing(f"dataset {name} in {files}", "prepare it again", damaged), _own_features(files):
        try:
            builder = tfds.builder(name, data_dir=folder or None)
        except tfds.core.registered.DatasetNotFoundError:
            raise unknown from None
    prepared = bool(builder.info.splits)
    if not prepared or builder.info.file_format.value not in ("array_record", "parquet"):
        where = os.path.dirname(os.path.dirname(str(builder.data_path)))
        found = "its files need TensorFlow to read" if prepared else "it is not there"
        scripts = sysconfig.get_path("scripts")
        raise UserError(
            f"dataset {name} in {folder or where}: {found}",
            f"prepare it: {scripts}/pip install tensorflow && {scripts}/tfds build "
            f"{named['dataset']} --file_format=array_record"
            f"{f' --data_dir={folder}' if folder else ''};"
            " or set --config.dataset.data_dir or TFDS_DATA_DIR to the folder that holds it",
        )
    return builder


@contextlib.contextmanager
def _own_features(folder: str) -> Iterator[None]:
    """Refuses features of other classes than TFDS's own.

    A dataset's files name the classes, and TFDS imports the module of any name: another's files
    would run code. The names are checked where TFDS looks them up, because they may be nested.

    Args:
      folder: the dataset's, for the message.
    """
    import tensorflow_datasets as tfds

    find_class = tfds.features.FeatureConnector.cls_from_name

    def find_own(name: str) -> Any:
        if not _OWN_FEATURE.fullmatch(name):
            what = f"{_naming(folder, name)}: the feature {name} is none of TFDS's own"
            raise UserError(what, "TFDS would run its module; use data without such a feature")
        return find_class(name)

    with unittest.mock.patch.object(tfds.features.FeatureConnector, "cls_from_name", find_own):
        yield


def _naming(folder: str, feature: str) -> str:
    """The file that names a feature, or the folder if none of its files spells it out."""
    for path in sorted(Path(folder).rglob("*.json")):
        if path.is_file() and feature in path.read_text(errors="replace"):
            return str(path)
    return folder
