"""A small table of tagged images, for tests."""

import numpy as np

from jaxgan.data.tagging import tag_tables
from jaxgan.data.tagging.types import WordVectors


def vocabulary(words="abcdefghijkl", size=6):
    """One vector a word, always the same."""
    vectors = np.random.default_rng(1).standard_normal((len(words), size)).astype(np.float32)
    return WordVectors(tuple(words), vectors)


def table(images=60, words="abcdefghijkl"):
    """A dataset in which an image's features say which two words it is tagged with, and some noise:
    float32 [12]."""
    generator = np.random.default_rng(0)
    features = 0.1 * generator.random((images, len(words)), np.float32)
    own = [generator.choice(len(words), 2, replace=False) for _ in range(images)]
    for row, places in zip(features, own, strict=True):
        row[places] += 1
    tagged = [[words[i] for i in places] for places in own]
    places = np.split(np.arange(images), [images - 20, images - 10])
    return tag_tables.assemble(
        "tags", features, tagged, np.arange(images), vocabulary(words), places
    )
