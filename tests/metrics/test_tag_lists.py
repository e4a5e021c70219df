"""Tags of samples, their precision and recall, and baselines without a GAN."""

import numpy as np
import pytest
import tag_data

from jaxgan.data.tagging.types import Tagged
from jaxgan.metrics import tag_lists as lists_of

# Eight directions in the plane, 45 degrees apart; their lengths say nothing.
ANGLES, LENGTHS = np.arange(8) * np.pi / 4, np.array([1, 2, 10, 4, 5, 6, 7, 1])


DIRECTIONS = LENGTHS[:, None] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def test_the_tags_of_samples_by_hand(monkeypatch):
    monkeypatch.setattr(lists_of, "NEAREST", 3)
    # Each names its own direction and its two neighbours: 7 0 1, 0 1 2, 0 1 2.
    degrees = np.radians([10, 40, 50])
    directions = lists_of.unit(DIRECTIONS)
    samples = np.stack([np.cos(degrees), np.sin(degrees)], axis=1) * [[1], [5], [0.1]]
    # Votes: 1 three, 0 three; 1 is nearer on average. Then 2 with two and 7 with one.
    assert lists_of.tags_of_samples(samples, directions, 4).tolist() == [1, 0, 2, 7]
    assert lists_of.tags_of_samples(samples, directions[:2], 10).tolist() == [1, 0]


def test_precision_and_recall_by_hand():
    lists = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    own = [np.array([1, 3, 9]), np.array([4])]
    precision, recall = lists_of.precision_recall(lists, own)
    assert precision == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert recall == pytest.approx((2 / 3 + 1 / 1) / 2)


def tagged(features, own):
    own = tuple(np.array(one, np.int32) for one in own)
    return Tagged(np.array(features, np.float32), own, np.arange(len(own)))


def test_lists_without_a_gan_by_hand(monkeypatch):
    monkeypatch.setattr(lists_of, "TAGS", 2)
    train = tagged([[1, 0], [2, 0.1], [0, 1], [0, 3]], [[0, 3], [0], [1, 2], [2, 3]])
    # 0: two, 1: one, 2: two, 3: two.
    assert lists_of.constant_lists(train, 5, 2).tolist() == [[0, 2], [0, 2]]
    asked = np.array([[5, 0], [0.1, 9]], np.float32)
    # Of the two nearest: 0 twice, 3 once; 2 twice, and of 1 and 3 the one commoner in training.
    assert lists_of.neighbour_lists(train, 5, asked, 2).tolist() == [[0, 3], [2, 3]]


def test_a_linear_map_finds_what_is_linear():
    dataset = tag_data.table(400)
    tags, test = dataset.tags, dataset.tags.test
    constant = lists_of.constant_lists(tags.train, 12, len(test))
    linear, weight = lists_of.best_linear(tags, test.features)
    near, k = lists_of.best_neighbours(tags, test.features)
    assert weight in lists_of.RIDGE
    assert k in lists_of.NEIGHBOURS
    found = [
        lists_of.precision_recall(one[:, :2], test.tags)[0] for one in (constant, linear, near)
    ]
    assert found[0] < 0.4
    assert min(found[1:]) > 0.6


def test_the_neighbours_words_are_those_of_a_dense_count():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(60, 5))
    own = [draw.choice(40, draw.integers(1, 8), replace=True) for _ in features]
    asked = draw.normal(size=(30, 5)).astype(np.float32)
    has_word = np.array([[word in tags for word in range(40)] for tags in own], np.float32)
    known = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(-(asked @ known.T), axis=1)[:, :20]
    scores = has_word[nearest].sum(axis=1) + has_word.mean(axis=0) / 2
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = lists_of.neighbour_lists(tagged(features, own), 40, asked, 20)
    assert found.tolist() == expected.tolist()


def test_scores_of_a_large_vocabulary_are_taken_in_blocks(monkeypatch):
    tags = tag_data.table(60).tags
    features = tags.train.features
    whole = lists_of.linear_lists(tags, features, 10.0)
    monkeypatch.setattr(lists_of, "_SCORES", 7 * 12)
    assert lists_of.linear_lists(tags, features, 10.0).tolist() == whole.tolist()
