"""Word vectors, frozen: skip-gram trained by gensim (Mikolov et al. 2013), or a word2vec file.

The same sentences give the same vectors whatever PYTHONHASHSEED is: one worker, a fixed seed, and
CRC-32 instead of Python's hash.
"""

import hashlib
import logging
import mmap
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgan.common import cache
from jaxgan.common.errors import UserError
from jaxgan.common.reading import open_file, reading
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
    """Reads a file in word2vec's format, binary if its name ends in .bin; of equal words the first
    counts.

    Not with gensim, which reads from the network if the path is a URL, and takes a single number
    for a whole vector.

    Raises:
      UserError: if the file is missing or damaged, or a vector is not finite.
    """
    remedy = "the format is word2vec's, binary if the name ends in .bin"
    words: dict[str, None] = {}
    with (
        reading(f"dataset.words={path}", remedy),
        open_file(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        count, size = _sizes(content)
        row = _binary_row if path.endswith(".bin") else _text_row
        vectors = np.empty((count, size), np.float32)
        for _ in range(count):
            # The next word takes the place of one that is there already.
            word, vectors[len(words)] = row(content, size)
            words.setdefault(word)
        vectors = vectors[: len(words)]
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            raise ValueError(f"the vector of {list(words)[wrong[0]]} is not finite")
    return WordVectors(tuple(words), vectors)


def _sizes(content: mmap.mmap) -> tuple[int, int]:
    """Reads the header: the number of words, and of numbers in a vector."""
    header = content.readline().split()
    if len(header) != 2 or not all(part.isdigit() for part in header):
        raise ValueError("the first line is not two numbers")
    count, size = map(int, header)
    # A number has at least two bytes, a digit and a space: a damaged header allocates nothing.
    if not 0 < 2 * count * size <= len(content):
        raise ValueError(f"the first line says {count} words of {size} numbers")
    return count, size


def _text_row(content: mmap.mmap, size: int) -> tuple[str, np.ndarray]:
    word, *numbers = content.readline().rstrip().decode().split(" ")
    if len(numbers) != size:
        raise ValueError(f"{len(numbers)} numbers for {word or 'a word'}, not {size}")
    with np.errstate(over="ignore"):
        return word, np.array([float(number) for number in numbers]).astype(np.float32)


def _binary_row(content: mmap.mmap, size: int) -> tuple[str, np.ndarray]:
    start = content.tell()
    word = content.read(content.find(b" ", start) - start).decode()
    numbers = content.read(1 + 4 * size)[1:]
    if len(numbers) < 4 * size:
        raise EOFError("it ends too early")
    # Some programs end a row with a newline.
    return word.lstrip("\n"), np.frombuffer(numbers, "<f4")


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
