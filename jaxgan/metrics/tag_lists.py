"""Tags of images: the words that generated vectors stand for, their precision and recall, and
baselines without a GAN.

Source: Mirza and Osindero 2014, section 4.2: each of 100 generated vectors votes for its 20 nearest
words by cosine; the ten words with the most votes are the image's tags. Precision at 10 is the
fraction of these that are the image's own tags, recall at 10 the fraction of its own tags among
them; both are means over images, in [0, 1].

Baselines: for every image, the ten most frequent words of the training images; the ten most
frequent words of the k training images with the nearest features (by cosine); the ten words nearest
to a linear map of the standardised features (ridge regression to the images' word vectors). k and
the ridge's weight are those with the best precision on the validation images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgan.data.tagging.types import Tagged, Tags

NEAREST, TAGS = 20, 10
NEIGHBOURS = (5, 20, 50, 100)
RIDGE = (1e1, 1e2, 1e3, 1e4, 1e5)
# Images per block of the neighbour search.
_BLOCK = 500
# Scores of words in memory at once: a vocabulary may have hundreds of thousands.
_SCORES = 10_000_000


def unit(x: np.ndarray) -> np.ndarray:
    """Scales rows to length 1; a row of zeros is unchanged."""
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(lengths > 0, lengths, 1))


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Columns of each row's `count` highest scores (of all, if there are fewer), highest first,
    ties in the columns' order: int [N, count]."""
    count = min(count, scores.shape[1])
    lists = []
    for row in scores:
        high = np.flatnonzero(row >= np.partition(row, -count)[-count])
        lists.append(high[np.argsort(-row[high], kind="stable")[:count]])
    return np.stack(lists)


def tags_of_samples(samples: np.ndarray, directions: np.ndarray, count: int = TAGS) -> np.ndarray:
    """The words with the most votes from some samples.

    Each sample votes for the 20 words (or all, if there are fewer) whose vectors are nearest by
    cosine. In a tie, the word with the higher mean similarity to all samples comes first.

    Args:
      samples: float [S, D].
      directions: word vectors of length 1, float [V, D].
      count: number of words to return.

    Returns:
      Word indices, int [min(count, V)], the most votes first.
    """
    similarity = unit(samples) @ directions.T
    nearest = min(NEAREST, len(directions))
    voted = np.argpartition(-similarity, nearest - 1, axis=1)[:, :nearest]
    votes = np.bincount(voted.ravel(), minlength=len(directions))
    return np.lexsort((-similarity.mean(axis=0), -votes))[:count]


def precision_recall(lists: np.ndarray, own: Sequence[np.ndarray]) -> tuple[float, float]:
    """Precision and recall of lists of words, int [M, K], against each image's own tags."""
    hits = [np.isin(listed, tags).sum() for listed, tags in zip(lists, own, strict=True)]
    sizes = [len(tags) for tags in own]
    return float(np.mean(hits) / lists.shape[1]), float(np.mean(np.divide(hits, sizes)))


# --- Baselines


def constant_lists(train: Tagged, words: int, images: int) -> np.ndarray:
    """The most frequent words of the training images, repeated for each image: int [images, 10].
    Ties are in the order of the words."""
    counts = np.bincount(np.concatenate(train.tags), minlength=words)
    return np.tile(_highest(counts[None], TAGS), (images, 1))


def neighbour_lists(train: Tagged, words: int, features: np.ndarray, k: int) -> np.ndarray:
    """The most frequent words of the k training images with the nearest features: int [M, 10]. Ties
    are in order of the words' frequency in training."""
    from scipy.sparse import csr_array

    own = [np.unique(tags) for tags in train.tags]
    rows = np.repeat(np.arange(len(train)), [len(tags) for tags in own])
    ones = np.ones(len(rows), np.float32)
    has_word = csr_array((ones, (rows, np.concatenate(own))), shape=(len(train), words))
    # Always below one vote, so it only breaks ties.
    tie_break = has_word.sum(axis=0) / np.float32(2 * len(train))
    known, asked = unit(train.features), unit(features)
    k = min(k, len(train))
    lists = []
    for start in range(0, len(asked), _BLOCK):
        similarity = asked[start : start + _BLOCK] @ known.T
        for nearest in np.argpartition(-similarity, k - 1, axis=1)[:, :k]:
            lists.append(_highest(has_word[nearest].sum(axis=0)[None] + tie_break, TAGS))
    return np.concatenate(lists)


def linear_lists(tags: Tags, features: np.ndarray, weight: float) -> np.ndarray:
    """The words nearest to a linear map of the features: int [M, 10]."""
    from sklearn.linear_model import Ridge

    train, vectors = tags.train, tags.vocabulary.vectors
    # Equivalent to one row for each pair of image and word.
    targets = np.stack([vectors[own].mean(axis=0) for own in train.tags])
    sizes = np.array([len(own) for own in train.tags], np.float64)
    mean, deviation = train.features.mean(axis=0), train.features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    ridge = Ridge(alpha=weight, solver="cholesky")
    ridge.fit((train.features - mean) / deviation, targets, sample_weight=sizes)
    predicted = ridge.predict((features - mean) / deviation)
    predicted, directions = unit(predicted), unit(vectors)
    size = max(_SCORES // len(vectors), 1)
    blocks = [predicted[start : start + size] for start in range(0, len(predicted), size)]
    return np.concatenate([_highest(block @ directions.T, TAGS) for block in blocks])


def best_neighbours(tags: Tags, features: np.ndarray) -> tuple[np.ndarray, int]:
    """`neighbour_lists` with the k that is best on the validation images, and that k."""
    words = len(tags.vocabulary.words)
    return _best(lambda x, k: neighbour_lists(tags.train, words, x, k), tags, features, NEIGHBOURS)


def best_linear(tags: Tags, features: np.ndarray) -> tuple[np.ndarray, float]:
    """`linear_lists` with the weight that is best on the validation images, and that weight."""
    return _best(lambda x, weight: linear_lists(tags, x, weight), tags, features, RIDGE)


def _best(
    lists: Callable[[np.ndarray, Any], np.ndarray], tags: Tags, features: np.ndarray, values: Any
) -> tuple[np.ndarray, Any]:
    validation = tags.split("validation")[1]
    scores = [precision_recall(lists(validation.features, v), validation.tags)[0] for v in values]
    best = values[int(np.argmax(scores))]
    return lists(features, best), best
