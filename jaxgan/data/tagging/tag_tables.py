"""Images that people have tagged, as pairs of (features of an image, vector of a word): MIR Flickr
25,000 in its own layout, or any table. The user's own network computes the features.

Source: Mirza and Osindero 2014, section 4.2. An image with several tags makes several training
pairs, and annotations count as tags. Images without tags, and words without a vector, are left out.
Splits are by image, so that no image's features are in two splits.
"""

import functools
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.common.reading import (
    as_numbers,
    open_file,
    parsing,
    read_array,
    read_arrays,
    reading,
)
from jaxgan.data.dataset import Dataset, Split, check_holding_out
from jaxgan.data.sources import image_folder
from jaxgan.data.tagging import word_vectors
from jaxgan.data.tagging.types import Rows, Tagged, Tags, WordVectors

# The paper's number of training pairs.
TRAINING_PAIRS = 150_000
_IMAGE = re.compile(r"im(\d+)\.jpg")
# Side of a photograph on a sample sheet, pixels.
_SIDE = 64


def assemble(
    name: str,
    features: np.ndarray,
    tags: Sequence[Iterable[str]],
    numbers: np.ndarray,
    vocabulary: WordVectors,
    splits: Sequence[np.ndarray],
    picture: Callable[[int], np.ndarray] | None = None,
    read: Callable[[str], np.ndarray] | None = None,
    path: str = "",
) -> Dataset:
    """Makes a dataset of word vectors, float32 [N, 1, 1, D], conditioned on features of an image,
    float32 [N, F].

    The vectors are scaled by one factor to coordinates of mean square 1. Cosines do not change; at
    skip-gram's own scale (.04) the discriminator wins at once and for good.

    Args:
      name: name of the dataset.
      features: features of the images, [M, F].
      tags: words of each image; images without a word in the vocabulary are left out.
      numbers: the images' numbers, int [M].
      vocabulary: words and vectors.
      splits: indices of the training, validation and test images.
      picture, read: as in `Tags`.
      path: the file or folder that errors name; "" for the dataset's name.

    Raises:
      UserError: if no training image has a tag in the vocabulary.
    """
    read = read or _no_features(name)
    scale = np.sqrt(np.square(vocabulary.vectors, dtype=np.float64).mean())
    vocabulary = vocabulary._replace(vectors=(vocabulary.vectors / (scale or 1)).astype(np.float32))
    number_of = {word: i for i, word in enumerate(vocabulary.words)}
    known = [np.unique([number_of[word] for word in own if word in number_of]) for own in tags]
    hasher = hashlib.sha256("\n".join(vocabulary.words).encode())
    hasher.update(vocabulary.vectors.tobytes())
    images, pairs = [], []
    for split in splits:
        rows = np.asarray([row for row in split if len(known[row])], np.int64)
        words = tuple(known[row].astype(np.int32) for row in rows)
        tagged = Tagged(features[rows].astype(np.float32), words, numbers[rows])
        images.append(tagged)
        pairs.append(_pairs(tagged, vocabulary.vectors))
        for part in (tagged.features, tagged.numbers, pairs[-1].images):
            hasher.update(np.ascontiguousarray(part).tobytes())
    if not len(pairs[0]):
        raise UserError(
            f"{path or name}: no image to train on has a tag with a word vector",
            "check dataset.words and dataset.min_count",
        )
    train, validation, test = pairs
    tagged_images = Tags(vocabulary, images[0], images[1], images[2], picture, read)
    fingerprint = f"tags {hasher.hexdigest()}"
    return Dataset(name, train, validation, test, fingerprint=fingerprint, tags=tagged_images)


def _pairs(images: Tagged, vectors: np.ndarray) -> Split:
    """Makes one example per tag of each image."""
    counts = [len(words) for words in images.tags]
    words = np.concatenate([*images.tags, np.zeros(0, np.int32)]).astype(np.int64)
    rows = np.repeat(np.arange(len(images), dtype=np.int32), counts)
    return Split(vectors[words][:, None, None], None, features=Rows(images.features, rows))


def _no_features(name: str) -> Callable[[str], np.ndarray]:
    def read(path: str) -> np.ndarray:
        raise UserError(
            f"--image={path}: {name}'s features come from elsewhere, and not for this file",
            "give an image's number, or an .npy file of its features",
        )

    return read


def _vocabulary(
    tags: Sequence[Sequence[str]], words: str, vector_size: int, min_count: int
) -> WordVectors:
    """Reads the file's vectors, or trains skip-gram on the images' tags as sentences."""
    if words:
        return word_vectors.read(words)
    return word_vectors.skip_gram(list(filter(None, tags)), vector_size, min_count)


# --- Any table


def load_table(
    path: str, vector_size: int, words: str, min_count: int, validation: int = -1
) -> Dataset:
    """Reads a table of features and tags; a fixed random tenth of the images is the test split.

    Args:
      path: an .npz with `features`, [M, F], and `tags`, M strings; or a folder with features.npy
        and tags.txt, one line per image. Tags are separated by commas or whitespace.
      vector_size, words, min_count: as in `glyph_tags.load`; without a word2vec file, vectors are
        trained on the images' tags.
      validation: number of images held out; -1 is a tenth of all.

    Raises:
      UserError: if the table is missing, or its parts do not match.
    """
    features, lines = _table(path)
    if len(features) != len(lines):
        raise UserError(
            f"{path}: features of {len(features)} images, and tags of {len(lines)}",
            "each image needs a row and a line",
        )
    tags = [re.findall(r"[^,\s]+", line.lower()) for line in lines]
    order = np.random.default_rng(0).permutation(len(lines))
    tenth = -(-len(lines) // 10)
    splits = _held_out(order[2 * tenth :], order[tenth : 2 * tenth], validation, "tags")
    vocabulary = _vocabulary(tags, words, vector_size, min_count)
    numbers = np.arange(len(lines))
    all_splits = [*splits, order[:tenth]]
    return assemble("tags", features, tags, numbers, vocabulary, all_splits, path=path)


_TABLE = "it is an .npz with features and tags, or a folder with features.npy and tags.txt"


def _table(path: str) -> tuple[np.ndarray, list[str]]:
    """Reads the features, float32 [M, F], and the tags of each image, M lines."""
    return _table_of_folder(path) if os.path.isdir(path) else _table_of_npz(path)


def _table_of_folder(path: str) -> tuple[np.ndarray, list[str]]:
    features, tags = (os.path.join(path, name) for name in ("features.npy", "tags.txt"))
    rows = _rows(read_array(features, features, _TABLE), features, _TABLE)
    with reading(tags, _TABLE), open_file(tags) as file:
        # Windows' editors begin a file with a byte order mark.
        return rows, file.read().decode("utf-8-sig").splitlines()


def _table_of_npz(path: str) -> tuple[np.ndarray, list[str]]:
    named, names = f"dataset.data_dir={path}", ("features", "tags")
    arrays = read_arrays(path, named, _TABLE, names)
    if missing := [name for name in names if name not in arrays]:
        raise UserError(f"{named}: no array {missing[0]}", _TABLE)
    features, tags = (arrays[name] for name in names)
    if tags.ndim != 1 or tags.dtype.kind not in "SU":
        what = f"{named}: tags are {tags.dtype} {list(tags.shape)}"
        raise UserError(what, "they must be strings, one per image")
    with parsing(f"{named}: tags", _TABLE):
        # NumPy also makes strings of numbers that are no characters; UTF-8 has no such bytes.
        lines = [tag.encode().decode() for tag in tags.astype(str).tolist()]
    return _rows(features, named, _TABLE), lines


def _rows(features: np.ndarray, named: str, remedy: str) -> np.ndarray:
    if features.ndim != 2 or not features.size:
        what = f"{named}: features are {features.dtype} {list(features.shape)}"
        raise UserError(what, "they must be numbers, one row per image")
    return as_numbers(features, f"{named}: features", remedy)


def _held_out(
    training: np.ndarray, validation: np.ndarray, count: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the training and validation images; `count` is `dataset.validation`."""
    if count < 0:
        return training, validation
    both = np.concatenate([training, validation])
    check_holding_out(count, len(both), name)
    return both[: len(both) - count], both[len(both) - count :]


# --- MIR Flickr 25,000


def load_mirflickr(
    path: str, features: str, vector_size: int, words: str, min_count: int, validation: int = -1
) -> Dataset:
    """Reads MIR Flickr in its own layout.

    The first images, by number, that make 150,000 pairs (or four fifths of all pairs, if that is
    less) are the training split; half of the others are for validation, half for testing.

    Args:
      path: the folder with im1.jpg, …, meta/tags/tags1.txt, … (one tag per line) and, there or in
        subfolders named after annotations, files such as baby.txt with the numbers of the images
        that show one (baby_r1.txt, the stricter list, counts as the same word).
      features: an .npy whose first row belongs to im1.jpg; "" is features.npy in the folder.
      vector_size, words, min_count: as in `load_table`.
      validation: number of images held out; -1 is half of those that are not for training.

    Raises:
      UserError: naming what is missing or does not match.
    """
    numbers = _numbers(path)
    table, rows = _features(features or os.path.join(path, "features.npy"), np.asarray(numbers))
    tags = {number: _tags_of(path, number) for number in numbers}
    for word, members in _annotations(path):
        for number in members:
            if number in tags and word not in tags[number]:
                tags[number].append(word)
    vocabulary = _vocabulary(list(tags.values()), words, vector_size, min_count)
    in_vocabulary = set(vocabulary.words)
    pairs = np.cumsum([len(in_vocabulary & set(tags[number])) for number in numbers])
    training_pairs = min(TRAINING_PAIRS, int(0.8 * pairs[-1]))
    first = int(np.searchsorted(pairs, training_pairs, side="right"))
    middle = first + (len(numbers) - first) // 2
    training, held_out, test = np.split(np.arange(len(numbers)), [first, middle])
    return assemble(
        "mirflickr",
        rows,
        [tags[number] for number in numbers],
        np.asarray(numbers, np.int64),
        vocabulary,
        [*_held_out(training, held_out, validation, "mirflickr"), test],
        picture=lambda number: image_folder.decode(os.path.join(path, f"im{number}.jpg"), _SIDE, 3),
        read=functools.partial(_row_of, table),
        path=path,
    )


def _row_of(table: np.ndarray, path: str) -> np.ndarray:
    """Returns the features of an image by its file name."""
    found = _IMAGE.fullmatch(os.path.basename(path))
    if not found or not 1 <= int(found[1]) <= len(table):
        raise UserError(
            f"--image={path}: no features of this file",
            "give one of MIR Flickr's images, or an .npy file of features",
        )
    return as_numbers(table[int(found[1]) - 1], f"--image={path}: its features", "give another")


def _numbers(path: str) -> list[int]:
    """Returns the numbers of the images in the folder, ascending."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise UserError(f"dataset.data_dir={path}: cannot be read ({error.strerror})") from None
    numbers = sorted(int(m[1]) for m in map(_IMAGE.fullmatch, names) if m)
    if not numbers or numbers[0] < 1:
        raise UserError(f"dataset.data_dir={path}: no im1.jpg", "set it to MIR Flickr's own folder")
    return numbers


def _features(path: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads the table, and of it the rows of the images with these numbers, float32 [M, F]."""
    named = f"dataset.features={path}"
    remedy = "set it to an .npy of image features, one row per image, im1.jpg's first"
    table = read_array(path, named, remedy)
    if table.ndim != 2 or len(table) < numbers[-1]:
        what = f"{table.dtype} {list(table.shape)}, and the last image is im{numbers[-1]}.jpg"
        raise UserError(f"{named}: {what}", f"it needs at least {numbers[-1]} rows of numbers")
    return table, _rows(table[numbers - 1], named, remedy)


def _tags_of(path: str, number: int) -> list[str]:
    name = os.path.join(path, "meta", "tags", f"tags{number}.txt")
    if not os.path.lexists(name):
        return []
    lines = _text(name).split("\n")
    return list(dict.fromkeys(line.strip().lower() for line in lines if line.strip()))


def _text(path: str) -> str:
    remedy = "fetch it again"
    with reading(path, remedy), io.TextIOWrapper(open_file(path), "utf-8", "replace") as file:
        return file.read()


def _annotations(path: str) -> list[tuple[str, list[int]]]:
    """Returns each annotation's word, and the numbers of the images that it is true of."""
    folders = sorted(
        entry.path for entry in os.scandir(path) if entry.is_dir() and "annotations" in entry.name
    )
    found = []
    files = [file for folder in [path, *folders] for file in sorted(Path(folder).glob("*.txt"))]
    for file in files:
        lines = _text(str(file)).split()
        if lines and all(line.isdecimal() for line in lines):  # A README has other lines.
            # Flickr's tags have letters and digits only: plant_life is tagged as plantlife.
            word = file.stem.removesuffix("_r1").replace("_", "").lower()
            with reading(str(file), "fetch it again"):
                found.append((word, [int(line) for line in lines]))
    return found
