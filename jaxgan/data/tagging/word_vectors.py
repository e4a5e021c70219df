"""Word vectors: skip-gram trained here by gensim (Mikolov et al. 2013), or a file of the user's in
word2vec's format. Frozen either way.

The same sentences give the same vectors, whatever PYTHONHASHSEED is: one worker, a fixed seed, and
crc32 in the place of Python's own hash.
"""

import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgan.common import cache
from jaxgan.common.errors import UserError
from jaxgan.data.tagging.types import WordVectors

# Goes up with every change to how they are trained: it is part of the cache's key.
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
    """Vectors of the words of some sentences, from the cache or trained now.

    Args:
      sentences: lists of words.
      size: of a vector.
      min_count: words seen fewer times are left out.
      window: how many words before and after one are its company; ten are nearly all tags of an
        image, which come in no order.
      say: called with a line when vectors are trained, or the cache cannot be used.

    Returns:
      The words, the most frequent first.

    Raises:
      UserError: if gensim is missing, or no word is seen often enough.
    """
    hasher = hashlib.sha256(f"{VERSION} {SEED} {EPOCHS} {size} {min_count} {window}\n".encode())
    for sentence in sentences:
        hasher.update((" ".join(sentence) + "\n").encode())
    path = os.path.join(cache.cache_folder(), f"words-{hasher.hexdigest()[:16]}.npz")
    arrays = cache.load_npz(path, say)
    if arrays is None:
        arrays = _train(sentences, size, min_count, window)
        cache.save_npz(path, arrays, say)
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
        hashfxn=_crc32,
    )
    model.build_vocab(sentences)
    if not len(model.wv):
        raise UserError(
            f"dataset.min_count={min_count}: no word is seen that often", "give a smaller one"
        )
    model.train(sentences, total_examples=model.corpus_count, epochs=EPOCHS)
    words = np.array(model.wv.index_to_key)
    return {"words": words, "vectors": np.asarray(model.wv.vectors, np.float32)}


def read(path: str) -> WordVectors:
    """The words of a file in word2vec's format; binary where its name ends in .bin.

    Raises:
      UserError: if it is missing or not in that format, or gensim is missing.
    """
    models = _gensim()
    try:
        found = models.KeyedVectors.load_word2vec_format(path, binary=path.endswith(".bin"))
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"dataset.words={path}: cannot be read ({error})",
            "it is to be in word2vec's format, binary if it ends in .bin",
        ) from None
    return WordVectors(tuple(found.index_to_key), np.asarray(found.vectors, np.float32))


def _crc32(word: str) -> int:
    return zlib.crc32(word.encode())


def _gensim() -> Any:
    try:
        from gensim import models
    except ModuleNotFoundError:
        raise UserError(
            "word vectors want gensim, which is missing", "pip install 'jaxgan[tags]'"
        ) from None
    # It tells every event of its life to whoever logs, and absl does.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    return models
