"""Glyphs with tags: an offline substitute for photographs that people have tagged.

The images are those of `glyphs.py`. Each value of five factors (numbers are cut into thirds) has
five synonymous words. An image's tags are all 25 words that are true of it, so that, unlike for
photographs, the truth is known in full. Rotation and position have no words.

The words' vectors are trained on captions of further glyphs, which are never drawn. A caption has,
for each factor in random order, three of the five words side by side. There are no uninformative
words, as in the cleaned text of Mirza and Osindero (2014): close to all others, they would be among
the 20 nearest of every sample. (Measured with six words per value: of the ten words nearest to an
image's own tags, 97 % are its tags; with eight more words, each in a tenth of the captions, 20 %.)
"""

import os
from collections.abc import Sequence

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset
from jaxgan.data.sources import glyphs, image_folder
from jaxgan.data.tagging import glyph_features, tag_tables, word_vectors

# 6,000 images with 25 tags each make 150,000 training pairs, as in the paper.
SIZES = {"train": 6_000, "validation": 1_000, "test": 2_000}
SEED = 1
CAPTIONS = 20_000
# The words for each value, or third, of each factor.
WORDS = {
    "digit": (
        ("zero", "nought", "nil", "null", "cipher"),
        ("one", "single", "ace", "unit", "solo"),
        ("two", "pair", "couple", "double", "twofold"),
        ("three", "trio", "triple", "triad", "threefold"),
        ("four", "quartet", "quadruple", "tetrad", "fourfold"),
        ("five", "quintet", "quintuple", "pentad", "fivefold"),
        ("six", "sextet", "sextuple", "hexad", "sixfold"),
        ("seven", "septet", "septuple", "heptad", "sevenfold"),
        ("eight", "octet", "octuple", "octad", "eightfold"),
        ("nine", "nonet", "nonuple", "ennead", "ninefold"),
    ),
    "font": (
        ("sans", "grotesque", "gothic", "unadorned", "clean"),
        ("serif", "slab", "bracketed", "sturdy", "footed"),
        ("roman", "times", "bookish", "newspaper", "classic"),
        ("didone", "modern", "mathematical", "textbook", "scholarly"),
        ("typewriter", "monospaced", "terminal", "courier", "mechanical"),
    ),
    "width": (
        ("thin", "light", "fine", "slender", "hairline"),
        ("plain", "regular", "normal", "ordinary", "average"),
        ("bold", "heavy", "thick", "black", "fat"),
    ),
    "slant": (
        ("leftward", "backslanted", "reclined", "backhand", "contrary"),
        ("upright", "straight", "vertical", "erect", "plumb"),
        ("italic", "slanted", "leaning", "oblique", "cursive"),
    ),
    "size": (
        ("small", "little", "tiny", "miniature", "petite"),
        ("middling", "medium", "moderate", "fair", "midsize"),
        ("large", "big", "tall", "huge", "giant"),
    ),
}
# Words per factor in a caption, and skip-gram's window.
_WORDS_PER_FACTOR, _WINDOW = 3, 2


def load(
    vector_size: int, words: str = "", min_count: int = 5, sizes: dict[str, int] | None = None
) -> Dataset:
    """Makes pairs of a glyph's features, float32 [256], and the vector of a word true of it.

    Args:
      vector_size: length of a word vector trained here.
      words: path of a word2vec file; "" trains vectors on captions.
      min_count: rarer words in the captions are left out.
      sizes: number of images in "train", "validation" and "test"; None is `SIZES`.

    Raises:
      UserError: if there are no word vectors.
    """
    sizes = sizes or SIZES
    drawn = glyphs.load(seed=SEED, sizes=sizes)
    vocabulary = (
        word_vectors.read(words)
        if words
        else word_vectors.skip_gram(captions(CAPTIONS), vector_size, min_count, _WINDOW)
    )
    splits = drawn.train, drawn.validation, drawn.test
    images = np.concatenate([split.images for split in splits])
    factors = np.concatenate([split.factors for split in splits])
    features = glyph_features.reader(drawn.train, drawn.factors)

    def read(path: str) -> np.ndarray:
        if not os.path.isfile(path):
            raise UserError(f"--image={path}: no such file, and no image's number")
        return features(image_folder.decode(path, *images.shape[2:])[None])[0]

    bounds = np.cumsum([0, *sizes.values()])
    return tag_tables.assemble(
        "glyph_tags",
        features(images),
        [true_words(row) for row in factors],
        np.arange(len(images)),
        vocabulary,
        [np.arange(*bounds[i : i + 2]) for i in range(3)],
        picture=lambda number: images[number],
        read=read,
    )


def true_words(factors: np.ndarray) -> list[str]:
    """Returns the 25 words that are true of a glyph with these factors, float [8]."""
    return [word for words in _synonyms(factors) for word in words]


def _synonyms(factors: np.ndarray) -> list[tuple[str, ...]]:
    """Returns, for each factor of `WORDS`, the words for its value."""
    found: list[tuple[str, ...]] = []
    for factor, value in zip(glyphs.FACTORS, factors, strict=True):
        if words := WORDS.get(factor.name):
            if not factor.categorical:
                value = (value - factor.low) / (factor.high - factor.low) * len(words)
            found.append(words[int(np.clip(value, 0, len(words) - 1))])
    return found


def captions(count: int, seed: int = SEED) -> list[Sequence[str]]:
    """Returns captions of `count` glyphs that are never drawn; fixed by the seed."""
    generator = np.random.default_rng([seed, 3])
    factors = np.stack([factor.sample(generator, count) for factor in glyphs.FACTORS], axis=1)
    # Drawn for all captions at once: a call for each takes fifty times as long.
    order = generator.random((count, len(WORDS))).argsort(axis=1).tolist()
    which = generator.random((count, len(WORDS), 5)).argsort(axis=2)[:, :, :_WORDS_PER_FACTOR]
    result: list[Sequence[str]] = []
    for row, row_order, row_which in zip(factors, order, which.tolist(), strict=True):
        synonyms = _synonyms(row)
        result.append([synonyms[j][k] for j in row_order for k in row_which[j]])
    return result
