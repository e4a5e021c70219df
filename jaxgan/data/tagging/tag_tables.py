"""Images that people have tagged, as pairs of (features of the image, vector of a word): MIR Flickr
25,000 in its own layout, or any table. Features come from a network of the user's.

Source: Mirza and Osindero 2014, section 4.2. An image with several tags is several training pairs;
images without tags are left out; annotations count as tags. Words that the language model does not
know are left out, and splits are by image, so that no image's features are in two of them.
"""

import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.sources import image_folder
from jaxgan.data.tagging import word_vectors
from jaxgan.data.tagging.types import Rows, Tagged, Tags, WordVectors

# The document trains on the first so many pairs.
TRAINING_PAIRS = 150_000
_IMAGE = re.compile(r"im(\d+)\.jpg")
# The side of a photograph on a sheet.
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
) -> Dataset:
    """A dataset of pairs: a word vector, float32 [N, 1, 1, D], and its image's features, float32
    [N, F], as the condition.

    The vectors are multiplied by one number, so that their coordinates have mean square 1: cosines
    stay, and at skip-gram's own scale (.04) the discriminator wins at once and for good.

    Args:
      name: of the dataset.
      features: of the images, [M, F].
      tags: of each image; words that the vocabulary lacks, and images that none is left of, are
        left out.
      numbers: what the images are called, int [M].
      vocabulary: the words and their vectors.
      splits: the places of the images to train on, to validate and to test.
      picture, read: as in `Tags`.

    Raises:
      UserError: if no image to train on has a tag that the vocabulary knows, or features are not
        finite.
    """
    if not np.isfinite(features).all():
        raise UserError(f"{name}: features that are not finite", "mend the file of features")
    scale = np.sqrt(np.square(vocabulary.vectors, dtype=np.float64).mean())
    vocabulary = vocabulary._replace(vectors=(vocabulary.vectors / (scale or 1)).astype(np.float32))
    number_of = {word: i for i, word in enumerate(vocabulary.words)}
    known = [np.unique([number_of[word] for word in own if word in number_of]) for own in tags]
    hasher = hashlib.sha256("\n".join(vocabulary.words).encode())
    hasher.update(vocabulary.vectors.tobytes())
    images, pairs = [], []
    for places in splits:
        places = np.asarray([place for place in places if len(known[place])], np.int64)
        own = tuple(known[place].astype(np.int32) for place in places)
        one = Tagged(features[places].astype(np.float32), own, numbers[places])
        images.append(one)
        pairs.append(_pairs(one, vocabulary.vectors))
        for part in (one.features, one.numbers, pairs[-1].images):
            hasher.update(np.ascontiguousarray(part).tobytes())
    if not len(pairs[0]):
        raise UserError(
            f"{name}: no image to train on has a tag with a word vector",
            "look at dataset.words and dataset.min_count",
        )
    return Dataset(
        name,
        pairs[0],
        pairs[1],
        pairs[2],
        fingerprint=f"tags {hasher.hexdigest()}",
        tags=Tags(vocabulary, images[0], images[1], images[2], picture, read or _unreadable(name)),
    )


def _pairs(images: Tagged, vectors: np.ndarray) -> Split:
    """One example for each tag of each image."""
    counts = [len(own) for own in images.tags]
    words = np.concatenate([*images.tags, np.zeros(0, np.int32)]).astype(np.int64)
    of_image = np.repeat(np.arange(len(images), dtype=np.int32), counts)
    return Split(vectors[words][:, None, None], None, features=Rows(images.features, of_image))


def _unreadable(name: str) -> Callable[[str], np.ndarray]:
    def read(path: str) -> np.ndarray:
        raise UserError(
            f"--image={path}: {name}'s features come from elsewhere, and there are none of it",
            "give an image's number, or an .npy file of its features",
        )

    return read


def _vocabulary(
    tags: Sequence[Sequence[str]], words: str, vector_size: int, min_count: int
) -> WordVectors:
    """The file's vectors, or skip-gram trained on the images' own tags as sentences."""
    if words:
        return word_vectors.read(words)
    return word_vectors.skip_gram([own for own in tags if own], vector_size, min_count)


# --- Any table


def load_table(
    path: str, vector_size: int, words: str, min_count: int, validation: int = -1
) -> Dataset:
    """A table of features and tags.

    Args:
      path: an .npz with `features`, [M, F], and `tags`, M strings; or a folder with features.npy
        and tags.txt, a line for each image. Tags are separated by commas or blanks.
      vector_size, words, min_count: as in `glyph_tags.load`; without a file of word vectors they
        are trained on the images' tags.
      validation: images held out of those to train on; -1 is a tenth of all. Another tenth is for
        testing; which is fixed.

    Raises:
      UserError: if there is no such table, or its parts do not fit together.
    """
    features, lines = _table(path)
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: features are {features.dtype} {list(features.shape)}",
            "they are to be numbers, a row for each image",
        )
    if len(features) != len(lines):
        raise UserError(
            f"{path}: features of {len(features)} images, and tags of {len(lines)}",
            "a row and a line for each image",
        )
    tags = [_separated(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(lines))
    tenth = -(-len(lines) // 10)
    splits = _held_out(order[2 * tenth :], order[tenth : 2 * tenth], validation, "tags")
    return assemble(
        "tags",
        features,
        tags,
        np.arange(len(lines)),
        _vocabulary(tags, words, vector_size, min_count),
        [*splits, order[:tenth]],
    )


def _table(path: str) -> tuple[np.ndarray, list[str]]:
    try:
        if os.path.isdir(path):
            features = np.load(os.path.join(path, "features.npy"), allow_pickle=False)
            with open(os.path.join(path, "tags.txt"), encoding="utf-8") as file:
                return features, file.read().splitlines()
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["features"], arrays["tags"].astype(str).tolist()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"dataset.data_dir={path}: no table of features and tags ({error})",
            "an .npz with features and tags, or a folder with features.npy and tags.txt",
        ) from None


def _separated(line: str) -> list[str]:
    return [word.lower() for word in re.split(r"[,\s]+", line) if word]


def _held_out(
    training: np.ndarray, validation: np.ndarray, count: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """The images to train on and to validate on; `count` is `dataset.validation`."""
    if count < 0:
        return training, validation
    both = np.concatenate([training, validation])
    if count >= len(both):
        raise UserError(f"dataset.validation={count}: {name} has {len(both)} images", "fewer")
    return both[: len(both) - count], both[len(both) - count :]


# --- MIR Flickr 25,000


def load_mirflickr(
    path: str, features: str, vector_size: int, words: str, min_count: int, validation: int = -1
) -> Dataset:
    """MIR Flickr in its own layout.

    The images in the order of their numbers: the first ones that have 150,000 pairs (or, where
    there are fewer, four fifths of them) are trained on; half of the others validate, half test.

    Args:
      path: the folder with im1.jpg, im2.jpg, ..., meta/tags/tags1.txt, ... (a tag a line) and, in
        it or in one of its folders named after annotations, files such as baby.txt with the numbers
        of the images that show one (baby_r1.txt, the stricter list, counts as the same word).
      features: an .npy, its first row of im1.jpg; "" is features.npy in the folder.
      vector_size, words, min_count: as in `load_table`.
      validation: images held out; -1 is half of those that are not trained on.

    Raises:
      UserError: naming what is missing, or does not fit.
    """
    numbers = _numbers(path)
    table = _features(features or os.path.join(path, "features.npy"), numbers[-1])
    tags = {number: _tags_of(path, number) for number in numbers}
    for word, members in _annotations(path):
        for number in members:
            if number in tags and word not in tags[number]:
                tags[number].append(word)
    vocabulary = _vocabulary(list(tags.values()), words, vector_size, min_count)
    in_vocabulary = set(vocabulary.words)
    pairs = np.cumsum([len(in_vocabulary & set(tags[number])) for number in numbers])
    most = min(TRAINING_PAIRS, int(0.8 * pairs[-1]))
    first = int(np.searchsorted(pairs, most, side="right"))
    middle = first + (len(numbers) - first) // 2
    places = np.arange(len(numbers))
    splits = _held_out(places[:first], places[first:middle], validation, "mirflickr")
    return assemble(
        "mirflickr",
        table[np.asarray(numbers) - 1],
        [tags[number] for number in numbers],
        np.asarray(numbers, np.int64),
        vocabulary,
        [*splits, places[middle:]],
        picture=lambda number: image_folder.decode(os.path.join(path, f"im{number}.jpg"), _SIDE, 3),
        read=functools.partial(_row_of, table),
    )


def _row_of(table: np.ndarray, path: str) -> np.ndarray:
    """The features of one of the images, by the name of its file."""
    found = _IMAGE.fullmatch(os.path.basename(path))
    if not found or not 1 <= int(found[1]) <= len(table):
        raise UserError(
            f"--image={path}: there are no features of it",
            "give one of MIR Flickr's images, or an .npy file of features",
        )
    return np.asarray(table[int(found[1]) - 1])


def _numbers(path: str) -> list[int]:
    """The numbers of the images that are there, ascending."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise UserError(f"dataset.data_dir={path}: cannot be read ({error.strerror})") from None
    numbers = sorted(int(m[1]) for m in map(_IMAGE.fullmatch, names) if m)
    if not numbers or numbers[0] < 1:
        raise UserError(
            f"dataset.data_dir={path}: no im1.jpg", "it is to be MIR Flickr's own folder"
        )
    return numbers


def _features(path: str, last: int) -> np.ndarray:
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"dataset.features={path}: cannot be read ({error})",
            "an .npy of image features, a row for each image, im1.jpg's first",
        ) from None
    if table.ndim != 2 or table.dtype.kind not in "fiu" or len(table) < last:
        raise UserError(
            f"dataset.features={path}: {table.dtype} {list(table.shape)}, and the last image is"
            f" im{last}.jpg",
            f"at least {last} rows of numbers",
        )
    return np.asarray(table)


def _tags_of(path: str, number: int) -> list[str]:
    name = os.path.join(path, "meta", "tags", f"tags{number}.txt")
    try:
        with open(name, encoding="utf-8", errors="replace") as file:
            return list(dict.fromkeys(line.strip().lower() for line in file if line.strip()))
    except FileNotFoundError:
        return []


def _annotations(path: str) -> list[tuple[str, list[int]]]:
    """Each annotation's word, and the numbers of the images that it is true of."""
    folders = [path] + sorted(
        entry.path for entry in os.scandir(path) if entry.is_dir() and "annotations" in entry.name
    )
    found = []
    for place in folders:
        for name in sorted(os.listdir(place)):
            if not name.endswith(".txt"):
                continue
            with open(os.path.join(place, name), encoding="utf-8", errors="replace") as file:
                lines = file.read().split()
            if lines and all(line.isdigit() for line in lines):  # A README is not.
                # As Flickr has tags: without what is no letter or digit (plant_life, plantlife).
                word = name.removesuffix(".txt").removesuffix("_r1").replace("_", "").lower()
                found.append((word, [int(line) for line in lines]))
    return found
