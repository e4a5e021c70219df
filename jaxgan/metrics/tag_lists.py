"""Tags of images: which words some vectors stand for, how many of them are true, and lists of words
that no GAN is needed for.

Source: Mirza and Osindero 2014, section 4.2: of each of 100 generated vectors the 20 nearest words
by cosine; the ten that are named most often are the image's tags. Precision at 10 is the share of
an image's ten words that are its own tags, recall at 10 the share of its own tags that are among
them; both are means over images, in [0, 1].

What they are held against: the ten commonest words of the training images, for every image; the ten
commonest words of the k training images with the nearest features (by cosine); the ten words
nearest to what a linear map makes of the features (ridge regression to the images' word vectors,
features in units of their deviation). k and the ridge's weight are those that are best on the
validation images.
"""

from collections.abc import Sequence

import numpy as np

from jaxgan.data.tagging.types import Tagged, Tags

NEAREST, TAGS = 20, 10
NEIGHBOURS = (5, 20, 50, 100)
RIDGE = (1e1, 1e2, 1e3, 1e4, 1e5)
# Images whose neighbours are looked for at once.
_BLOCK = 500


def _unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(lengths > 0, lengths, 1))


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` highest scores of each row, highest first; of equal ones the first
    place comes first: int [N, count]."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def tags_of_samples(samples: np.ndarray, vectors: np.ndarray, count: int = TAGS) -> np.ndarray:
    """The words that are named most often by some samples.

    Each sample names the 20 words (or all, where there are fewer) whose vectors are nearest by
    cosine. Of words named equally often the one nearer to all samples, on average, comes first.

    Args:
      samples: float [S, D].
      vectors: of the words, float [V, D].
      count: of words wanted.

    Returns:
      Their numbers, int [count] (V, where that is less), the commonest first.
    """
    near = _unit(samples) @ _unit(vectors).T
    named = min(NEAREST, len(vectors))
    places = np.argpartition(-near, named - 1, axis=1)[:, :named]
    votes = np.bincount(places.ravel(), minlength=len(vectors))
    return np.lexsort((-near.mean(axis=0), -votes))[:count]


def precision_recall(lists: np.ndarray, own: Sequence[np.ndarray]) -> tuple[float, float]:
    """Precision and recall of lists of words, int [M, K], against each image's own tags."""
    hits = [np.isin(listed, tags).sum() for listed, tags in zip(lists, own, strict=True)]
    sizes = [len(tags) for tags in own]
    return float(np.mean(hits) / lists.shape[1]), float(np.mean(np.divide(hits, sizes)))


# --- Without a GAN


def constant_lists(train: Tagged, words: int, images: int) -> np.ndarray:
    """The commonest words of the training images, the same for each of `images`: int [images, 10].
    Of equally common ones the first number comes first."""
    counts = np.bincount(np.concatenate(train.tags), minlength=words)
    return np.tile(_highest(counts[None], TAGS), (images, 1))


def neighbour_lists(train: Tagged, words: int, features: np.ndarray, k: int) -> np.ndarray:
    """The commonest words of the k training images with the nearest features: int [M, 10]. Of
    equally common ones the one commoner in training comes first."""
    owns = np.zeros((len(train), words), np.float32)
    for i, own in enumerate(train.tags):
        owns[i, own] = 1
    # Less than one vote in all.
    commoner = owns.mean(axis=0) / 2
    known, asked = _unit(train.features), _unit(features)
    k = min(k, len(train))
    lists = []
    for start in range(0, len(asked), _BLOCK):
        near = asked[start : start + _BLOCK] @ known.T
        places = np.argpartition(-near, k - 1, axis=1)[:, :k]
        lists.append(_highest(owns[places].sum(axis=1) + commoner, TAGS))
    return np.concatenate(lists)


def linear_lists(tags: Tags, features: np.ndarray, weight: float) -> np.ndarray:
    """The words nearest to a linear map of the features: int [M, 10]."""
    from sklearn.linear_model import Ridge

    train, vectors = tags.train, tags.vocabulary.vectors
    # The same as a row for each pair.
    targets = np.stack([vectors[own].mean(axis=0) for own in train.tags])
    sizes = np.array([len(own) for own in train.tags], np.float64)
    mean, deviation = train.features.mean(axis=0), train.features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    ridge = Ridge(alpha=weight, solver="cholesky")
    ridge.fit((train.features - mean) / deviation, targets, sample_weight=sizes)
    made = ridge.predict((features - mean) / deviation)
    return _highest(_unit(made) @ _unit(vectors).T, TAGS)


def best_neighbours(tags: Tags, features: np.ndarray) -> tuple[np.ndarray, int]:
    """`neighbour_lists` with the k that is best on the validation images, and that k."""
    words, judged = len(tags.vocabulary.words), tags.split("validation")[1]
    scores = [
        precision_recall(neighbour_lists(tags.train, words, judged.features, k), judged.tags)[0]
        for k in NEIGHBOURS
    ]
    k = NEIGHBOURS[int(np.argmax(scores))]
    return neighbour_lists(tags.train, words, features, k), k


def best_linear(tags: Tags, features: np.ndarray) -> tuple[np.ndarray, float]:
    """`linear_lists` with the weight that is best on the validation images, and that weight."""
    judged = tags.split("validation")[1]
    scores = [
        precision_recall(linear_lists(tags, judged.features, weight), judged.tags)[0]
        for weight in RIDGE
    ]
    weight = RIDGE[int(np.argmax(scores))]
    return linear_lists(tags, features, weight), weight
