"""Any dataset of TensorFlow Datasets that has one image and perhaps a label.

Read through `tfds.data_source`, without TensorFlow; never downloaded or prepared from here.
"""

import contextlib
import dataclasses
import functools
import gc
import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data import streaming
from jaxgan.data.dataset import Dataset, Split, check_holding_out
from jaxgan.data.pixels import resize
from jaxgan.data.streaming import Streamed

# How many images at the end of the training split are held out, where the source has no validation
# split of its own and the config does not say: MNIST's 5,000 leave the 55,000 that TensorFlow's
# reader trained on.
HELD_OUT = {"mnist": 5000, "fashion_mnist": 5000, "cifar10": 0}


# One request for many records is some ten times faster than one for each.
_BLOCK = 4096


def load(
    name: str, data_dir: str, size: int, validation: int = -1, streamed: str = "auto"
) -> Dataset:
    """A prepared dataset, in memory or read as the batches want it.

    Args:
      name: TFDS's name, such as "mnist" or "emnist/letters".
      data_dir: the folder that holds prepared datasets; "" is the environment's TFDS_DATA_DIR, or
        TFDS's own default.
      size: images are brought to size x size (central square, bicubic).
      validation: how many images at the end of the training split are held out; -1 is the
        source's own validation split, or `HELD_OUT`, or a tenth.
      streamed: the key dataset.streamed; the labels are read now in any case.

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
    own = "validation" in splits and validation < 0
    there = splits["train"].num_examples
    held_out_count = HELD_OUT.get(name, there // 10) if validation < 0 else validation
    if not own:
        check_holding_out(held_out_count, there, name)
    used = [split for split in ("train", "validation", "test") if split in splits]
    used = [split for split in used if split != "validation" or own]
    sources = {split: TfdsSource(builder, split, keys[0], size) for split in used}
    # A fingerprint where streaming is a matter of course; bytes elsewhere, as the digest had it.
    shape = (sum(source.shape[0] for source in sources.values()), *sources["train"].shape[1:])
    fingerprint = sources["train"].fingerprint() if streaming.too_large(shape) else ""
    lazily = streaming.wanted(streamed, shape)
    found = {
        split: Split(Streamed(source), source.labels() if label_names else None)
        if lazily
        else source.read_all(bool(label_names))
        for split, source in sources.items()
    }
    train, test = found["train"], found.get("test", found["train"].first(0))
    if own:
        held_out = found["validation"]
    else:
        train, held_out = train.hold_out(held_out_count, name)
    return Dataset(name, train, held_out, test, label_names, fingerprint)


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """Reads one split's images.

    Args:
      builder: TFDS's.
      split: its name.
      key: the image's feature.
      size: H and W.
    """

    builder: Any
    split: str
    key: str
    size: int
    dtype: Any = np.uint8
    processes: bool = False  # The reader and the decoder work outside Python's lock.

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        channels = self.builder.info.features[self.key].shape[-1]
        return self.builder.info.splits[self.split].num_examples, self.size, self.size, channels

    @functools.cached_property
    def _records(self) -> Any:
        return self.builder.as_data_source(split=self.split)

    def read(self, places: np.ndarray) -> np.ndarray:
        """The images at `places`, int [n]: uint8 [n, H, W, C]."""
        out = np.empty((len(places), *self.shape[1:]), np.uint8)
        with self._errors():
            for i, record in enumerate(_in_blocks(self._records, places)):
                out[i] = self._sized(record[self.key])
        return out

    def read_all(self, labelled: bool) -> Split:
        """Images and labels, in memory."""
        out, labels = np.empty(self.shape, np.uint8), []
        with self._errors():
            for i, record in enumerate(_in_blocks(self._records, np.arange(self.shape[0]))):
                out[i] = self._sized(record[self.key])
                labels.append(record["label"] if labelled else 0)
        return Split(out, np.asarray(labels, np.int32) if labelled else None)

    def labels(self) -> np.ndarray:
        """int32 [N], without decoding an image."""
        import tensorflow_datasets as tfds

        with self._errors():
            records = self.builder.as_data_source(
                split=self.split, decoders={self.key: tfds.decode.SkipDecoding()}
            )
            every = _in_blocks(records, np.arange(self.shape[0]))
            return np.asarray([record["label"] for record in every], np.int32)

    def fingerprint(self) -> str:
        """The dataset's name, version and number of examples."""
        info = self.builder.info
        return f"tfds {info.full_name} {self.split} {self.shape}"

    def _sized(self, image: np.ndarray) -> np.ndarray:
        square = image.shape[:2] == (self.size, self.size)
        return image if square else resize(image[None], self.size)[0]

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        from PIL import UnidentifiedImageError

        try:
            yield
        except (OSError, UnidentifiedImageError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.builder.data_path}: split {self.split} cannot be read"
                f" ({str(error).splitlines()[0]})",
                "prepare the dataset again",
            ) from error


def _in_blocks(records: Any, places: np.ndarray) -> Iterator[dict[str, Any]]:
    for start in range(0, len(places), _BLOCK):
        yield from records.__getitems__(places[start : start + _BLOCK].tolist())


def _builder(name: str, data_dir: str) -> Any:
    # TFDS logs to absl's root logger that OpenCV is missing and that other formats lie beside.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # While TFDS is imported no module can be imported in full, not even by what is cleared away in
    # those moments, such as the locks of an ended pool of processes: a traceback for each.
    gc.collect()
    import tensorflow_datasets as tfds

    folder = os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "")
    if folder and not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder", "dataset.data_dir or TFDS_DATA_DIR names it")
    try:
        builder = tfds.builder(name, data_dir=folder or None)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError, ImportError):
        raise UserError(
            f"dataset.name={name}: neither digits, glyphs, ring, idx, csv or folder nor a dataset"
            " of TensorFlow Datasets"
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
