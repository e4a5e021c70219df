"""Glyphs with tags: the offline stand-in for photographs that people have tagged.

The images are those of `glyphs.py`. Each of five of their factors is said by one of three words
that mean the same; a number is cut into thirds. All 15 words that are true of an image are its
tags: the truth is known whole, as it never is of photographs. Turns and places are not spoken of.

The words' vectors are trained on captions of further glyphs, which are never drawn: of each factor
two of the three words, side by side, the factors in random order, and words that say nothing of an
image (they belong to the language, but are nobody's tags).
"""

import os
from collections.abc import Sequence

import numpy as np

from jaxgan.config import UserError
from jaxgan.data import folder, glyph_features, glyphs, tags, word_vectors
from jaxgan.data.dataset import Dataset

# 10,000 images with 15 tags each: 150,000 training pairs, as in the document.
SIZES = {"train": 10_000, "validation": 1_000, "test": 2_000}
SEED = 1
CAPTIONS = 20_000
# For each factor, for each of its values or thirds, the words that say it.
WORDS = {
    "digit": (
        ("zero", "nought", "nil"),
        ("one", "single", "ace"),
        ("two", "pair", "couple"),
        ("three", "trio", "triple"),
        ("four", "quartet", "quadruple"),
        ("five", "quintet", "quintuple"),
        ("six", "sextet", "sextuple"),
        ("seven", "septet", "septuple"),
        ("eight", "octet", "octuple"),
        ("nine", "nonet", "nonuple"),
    ),
    "font": (
        ("sans", "grotesque", "unadorned"),
        ("serif", "slab", "sturdy"),
        ("roman", "bookish", "times"),
        ("didone", "mathematical", "textbook"),
        ("typewriter", "monospaced", "terminal"),
    ),
    "width": (("thin", "light", "fine"), ("plain", "regular", "book"), ("bold", "heavy", "thick")),
    "slant": (
        ("leftward", "backslanted", "reclined"),
        ("upright", "straight", "vertical"),
        ("italic", "slanted", "leaning"),
    ),
    "size": (("small", "little", "tiny"), ("middling", "medium", "fair"), ("large", "big", "tall")),
}
COMMON = ("glyph", "figure", "number", "drawn", "ink", "white", "black", "photo")
# Common words in a caption.
_COMMON = 3


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
        else word_vectors.skip_gram(captions(CAPTIONS), vector_size, min_count)
    )
    images = np.concatenate([drawn.train.images, drawn.validation.images, drawn.test.images])
    factors = np.concatenate([drawn.train.factors, drawn.validation.factors, drawn.test.factors])
    features = glyph_features.reader(drawn.train, drawn.factors)

    def read(path: str) -> np.ndarray:
        if not os.path.isfile(path):
            raise UserError(f"--image={path}: no such file, and no image's number")
        return features(folder.decode(path, *images.shape[2:])[None])[0]

    bounds = np.cumsum([0, *sizes.values()])
    return tags.assemble(
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
    """The 15 words that are true of a glyph with these factors, float [8]."""
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
    spoken = len(WORDS)
    # Of all captions at once: one call for each of them takes fifty times as long.
    order = generator.random((count, spoken)).argsort(axis=1).tolist()
    which = generator.random((count, spoken, 3)).argsort(axis=2)[:, :, :2].tolist()
    common = generator.random((count, len(COMMON))).argsort(axis=1)[:, :_COMMON].tolist()
    where = generator.integers(2 * spoken + 1, size=(count, _COMMON)).tolist()
    said: list[Sequence[str]] = []
    for i, one in enumerate(factors):
        meanings = _meanings(one)
        sentence = [meanings[j][k] for j in order[i] for k in which[i][j]]
        for word, place in zip(common[i], where[i], strict=True):
            sentence.insert(place, COMMON[word])
        said.append(sentence)
    return said
