"""Word vectors, frozen: skip-gram trained by gensim (Mikolov et al. 2013), or a word2vec file.

The same sentences give the same vectors whatever PYTHONHASHSEED is: one worker, a fixed seed, and
CRC-32 instead of Python's hash.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgan.common import cache
from jaxgan.common.errors import UserError
from jaxgan.data.tagging.types import WordVectors

# Part of the cache's key: raise it with every change to the training.
VERSION = "1"
SEED = 1
EPOCHS = 5


def skip_gram(
    sentences: Sequence[Sequence[str]],
    size: int,
    min_count: int,
    window: int = 10,
    say: Callable[[str], None] = print,
) -> WordVectors:
    """Trains vectors on sentences, or reads them from the cache; frequent words come first.

    Args:
      sentences: lists of words.
      size: length of a vector.
      min_count: rarer words are left out.
      window: number of context words on either side. Ten covers nearly all tags of an image, whose
        order means nothing.
      say: called with a line if the cache cannot be used.

    Raises:
      UserError: if gensim is missing, or all words are rarer than `min_count`.
    """
    hasher = hashlib.sha256(f"{VERSION} {SEED} {EPOCHS} {size} {min_count} {window}\n".encode())
    for sentence in sentences:
        hasher.update((" ".join(sentence) + "\n").encode())
    name = f"words-{hasher.hexdigest()[:16]}"
    arrays = cache.cached(name, lambda: _train(sentences, size, min_count, window), say)
    return WordVectors(tuple(arrays["words"].tolist()), arrays["vectors"])


def _train(
    sentences: Sequence[Sequence[str]], size: int, min_count: int, window: int
) -> dict[str, np.ndarray]:
    models = _gensim()
    model = models.Word2Vec(
        vector_size=size,
        min_count=min_count,
        window=window,
        sg=1,
        workers=1,
        seed=SEED,
        hashfxn=lambda word: zlib.crc32(word.encode()),
    )
    model.build_vocab(sentences)
    if not len(model.wv):
        raise UserError(
            f"dataset.min_count={min_count}: no word occurs that often", "set a smaller number"
        )
    model.train(sentences, total_examples=model.corpus_count, epochs=EPOCHS)
    words = np.array(model.wv.index_to_key)
    return {"words": words, "vectors": np.asarray(model.wv.vectors, np.float32)}


def read(path: str) -> WordVectors:
    """Reads a file in word2vec's format, binary if its name ends in .bin; raises UserError if it is
    unreadable, or gensim is missing."""
    models = _gensim()
    try:
        vectors = models.KeyedVectors.load_word2vec_format(path, binary=path.endswith(".bin"))
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"dataset.words={path}: cannot be read ({error})",
            "the format is word2vec's, binary if the name ends in .bin",
        ) from None
    return WordVectors(tuple(vectors.index_to_key), np.asarray(vectors.vectors, np.float32))


def _gensim() -> Any:
    try:
        from gensim import models
    except ModuleNotFoundError:
        raise UserError(
            "word vectors need gensim, which is missing", "pip install 'jaxgan[tags]'"
        ) from None
    # absl's root handler would print its many INFO messages.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    return models
