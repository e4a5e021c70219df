"""Glyphs with tags: the offline stand-in for photographs that people have tagged.

The images are those of `glyphs.py`. Each of five of their factors is said by one of five words
that mean the same; a number is cut into thirds. All 25 words that are true of an image are its
tags: the truth is known whole, as it never is of photographs. Turns and places are not spoken of.

The words' vectors are trained on captions of further glyphs, which are never drawn: of each factor
three of the five words, side by side, the factors in random order. Words that say nothing of an
image are cleaned away beforehand, as in the document: being near to every other word they would be
among the 20 nearest of every sample (measured with six words for a value: of the ten words that the
vectors of an image's own tags name, 97 % are its tags; with eight more words, each in a tenth of
the captions, 20 %).
"""

import os
from collections.abc import Sequence

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset
from jaxgan.data.sources import glyphs, image_folder
from jaxgan.data.tagging import glyph_features, tag_tables, word_vectors

# 6,000 images with 25 tags each: 150,000 training pairs, as in the document.
SIZES = {"train": 6_000, "validation": 1_000, "test": 2_000}
SEED = 1
CAPTIONS = 20_000
# For each factor, for each of its values or thirds, the words that say it.
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
# Words of each factor in a caption, and how far a word's company reaches in it.
_SAID, _WINDOW = 3, 2


def load(
    vector_size: int, words: str = "", min_count: int = 5, sizes: dict[str, int] | None = None
) -> Dataset:
    """Pairs of glyphs' features, float32 [256], and the vectors of words that are true of them.

    Args:
      vector_size: of a word's vector, where they are trained here.
      words: a file of word vectors in word2vec's format; "" trains them on captions.
      min_count: words that are rarer in the captions are left out.
      sizes: images in "train", "validation" and "test"; None is `SIZES`.

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
    images = np.concatenate([drawn.train.images, drawn.validation.images, drawn.test.images])
    factors = np.concatenate([drawn.train.factors, drawn.validation.factors, drawn.test.factors])
    features = glyph_features.reader(drawn.train, drawn.factors)

    def read(path: str) -> np.ndarray:
        if not os.path.isfile(path):
            raise UserError(f"--image={path}: no such file, and no image's number")
        return features(image_folder.decode(path, *images.shape[2:])[None])[0]

    bounds = np.cumsum([0, *sizes.values()])
    return tag_tables.assemble(
        "glyph_tags",
        features(images),
        [true_words(one) for one in factors],
        np.arange(len(images)),
        vocabulary,
        [np.arange(*bounds[i : i + 2]) for i in range(3)],
        picture=lambda number: images[number],
        read=read,
    )


def true_words(factors: np.ndarray) -> list[str]:
    """The 25 words that are true of a glyph with these factors, float [8]."""
    return [word for one in _meanings(factors) for word in one]


def _meanings(factors: np.ndarray) -> list[tuple[str, ...]]:
    """For each factor of `WORDS`, the words that say its value."""
    said: list[tuple[str, ...]] = []
    for factor, value in zip(glyphs.FACTORS, factors, strict=True):
        if factor.name not in WORDS:
            continue
        words = WORDS[factor.name]
        if not factor.categorical:
            value = (value - factor.low) / (factor.high - factor.low) * len(words)
        said.append(words[int(np.clip(value, 0, len(words) - 1))])
    return said


def captions(count: int, seed: int = SEED) -> list[Sequence[str]]:
    """What is said of `count` glyphs that are never drawn; the same seed gives the same words."""
    generator = np.random.default_rng([seed, 3])
    factors = np.stack([factor.sample(generator, count) for factor in glyphs.FACTORS], axis=1)
    # Of all captions at once: one call for each of them takes fifty times as long.
    order = generator.random((count, len(WORDS))).argsort(axis=1).tolist()
    which = generator.random((count, len(WORDS), 5)).argsort(axis=2)[:, :, :_SAID].tolist()
    said: list[Sequence[str]] = []
    for i, one in enumerate(factors):
        meanings = _meanings(one)
        said.append([meanings[j][k] for j in order[i] for k in which[i][j]])
    return said
