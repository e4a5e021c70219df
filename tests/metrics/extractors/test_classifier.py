"""The reference classifier on the embedded digits, and its cache."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from jaxgan.common.cache import cache_folder
from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.registry import _streamed
from jaxgan.data.sources import digits
from jaxgan.metrics.extractors import classifier
from jaxgan.metrics.extractors.classifier import Recipe, recipe_for, reference_classifier

# Digits at the size of the scans, seen once: enough to read nine in ten.
LEARNS = Recipe(batch=32, updates=40)
SHORT = Recipe(batch=8, updates=2)


def small():
    """Sixteen digits of 8x8 to train on and ten to judge."""
    whole = digits.load(8)
    return dataclasses.replace(
        whole,
        train=whole.train.first(16),
        validation=whole.validation.first(4),
        test=whole.test.first(10),
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "jaxgan"


@pytest.fixture(scope="module")
def weights():
    """What one short training gives."""
    with jax.enable_x64(False):
        network = classifier.ReferenceNetwork(10)
        dataset = classifier._with_held_out(small())
        return classifier._train(network, dataset, SHORT, lambda _: None)


@pytest.fixture
def trainings(weights, monkeypatch):
    """How many trainings there were; each but the first of all is spared, as it would end alike."""
    count = []

    def train(*_):
        count.append(1)
        return dict(weights[0]), weights[1]

    monkeypatch.setattr(classifier, "_train", train)
    return count


def silent(message):
    raise AssertionError(message)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        dataset, said = digits.load(8), []
        return dataset, reference_classifier(dataset, said.append, LEARNS), said


def test_learns_the_digits_and_reports_it(learnt):
    dataset, trained, said = learnt
    assert trained.accuracy > 0.85
    assert trained.judged == "test"
    right = trained.predict(dataset.test.images) == dataset.test.labels
    assert trained.accuracy == pytest.approx(right.mean())
    assert said[0] == "training the reference classifier of digits on 1501 images, once"
    assert "40 updates, about" in said[1]
    assert f"accuracy {trained.accuracy:.2%} on 296 test images" in said[2]
    assert len(said) == 3
    assert trained.name == f"reference classifier {classifier.VERSION} (digits)"
    assert len(trained.digest) == 16


def test_readings_do_not_depend_on_the_rest_of_the_batch(learnt):
    dataset, trained, _ = learnt
    images = dataset.train.images[:521]
    features, probabilities = trained.features(images), trained.probabilities(images)
    assert features.dtype == probabilities.dtype == np.float32
    assert features.shape == (521, 128)
    assert features.min() == 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == trained.predict(images)).all()
    np.testing.assert_allclose(trained.features(images[515:]), features[515:], rtol=1e-4, atol=1e-5)
    assert trained.predict(images[:0]).shape == (0,)
    assert trained.features(images[:0]).shape == (0, 128)


def test_reading_any_number_of_images_is_one_trace(learnt):
    dataset, trained, _ = learnt
    trained.predict(dataset.test.images[:3])
    before = classifier._forward._cache_size()
    for n in (1, 7, 296):
        trained.probabilities(dataset.test.images[:n])
    assert classifier._forward._cache_size() == before


def test_other_images_are_refused(learnt):
    _, trained, _ = learnt
    with pytest.raises(ValueError, match="not uint8"):
        trained.predict(np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(ValueError, match="not uint8"):
        trained.predict(np.zeros((2, 28, 28, 1), np.uint8))


def test_the_second_call_trains_nothing_and_says_nothing(trainings, cache):
    first = reference_classifier(small(), lambda _: None, SHORT)
    again = reference_classifier(small(), silent, SHORT)
    assert len(trainings) == 1
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
    assert again.digest == first.digest
    assert again.accuracy == pytest.approx(first.accuracy)
    images = small().test.images
    assert np.array_equal(again.features(images), first.features(images))


@pytest.mark.parametrize("place", ["first", "middle", "last", "cut", "empty"])
def test_retrains_when_the_cached_file_is_damaged(trainings, cache, place):
    first = reference_classifier(small(), lambda _: None, SHORT)
    (path,) = cache.iterdir()
    whole = bytearray(path.read_bytes())
    if place in ("cut", "empty"):
        damaged = whole[: len(whole) // 2 if place == "cut" else 0]
    else:
        damaged = whole.copy()
        damaged[{"first": 0, "middle": len(whole) // 2, "last": -1}[place]] ^= 1
    path.write_bytes(damaged)
    said = []
    again = reference_classifier(small(), said.append, SHORT)
    assert len(trainings) == 2
    assert "damaged" in said[0]
    assert again.digest == first.digest
    reference_classifier(small(), silent, SHORT)
    assert len(trainings) == 2


def test_the_cached_file_is_a_valid_npz(trainings, cache):
    reference_classifier(small(), lambda _: None, SHORT)
    (path,) = cache.iterdir()
    with np.load(path) as arrays:
        assert arrays["params/features/kernel"].shape == (128, 128)


def relabelled(split):
    return Split(split.images, (split.labels + 1) % 10)


def test_another_dataset_has_another_file(cache):
    """Other images, labels, files, splits to be judged on, recipes: not one shares."""
    dataset = small()
    others = [
        dataset,
        dataclasses.replace(dataset, train=Split(255 - dataset.train.images, dataset.train.labels)),
        dataclasses.replace(dataset, train=relabelled(dataset.train)),
        dataclasses.replace(dataset, test=relabelled(dataset.test)),
        dataclasses.replace(dataset, test=dataset.test.first(0)),
        dataclasses.replace(dataset, content="another"),
    ]
    keys = {classifier._key(other, SHORT, 10) for other in others}
    assert len(keys | {classifier._key(dataset, LEARNS, 10)}) == 7
    assert classifier._key(small(), SHORT, 10) in keys


def held_out(whole, count):
    train, validation = whole.hold_out(count, "digits")
    return dataclasses.replace(small(), train=train, validation=validation)


def test_the_number_of_images_held_out_makes_no_difference():
    whole = digits.load(8).train.first(20)
    found = [classifier._with_held_out(held_out(whole, count)) for count in (4, 12)]
    assert len({classifier._key(dataset, SHORT, 10) for dataset in found}) == 1
    streamed = held_out(whole, 4).map_splits(_streamed)
    for dataset in (*found, classifier._with_held_out(streamed)):
        np.testing.assert_array_equal(dataset.train.images[:], whole.images)
        np.testing.assert_array_equal(dataset.train.labels, whole.labels)


def test_a_classifier_that_the_validation_split_tests_is_not_trained_on_it():
    dataset = dataclasses.replace(small(), test=small().test.first(0))
    assert classifier._with_held_out(dataset) is dataset


def test_without_a_test_split_names_the_split_used_instead():
    dataset = small()
    none = dataset.test.first(0)
    unlabelled = Split(dataset.test.images, None)
    for test, validation, name in (
        (none, dataset.validation, "validation"),
        (unlabelled, dataset.validation, "validation"),
        (none, none, "train"),
    ):
        other = dataclasses.replace(dataset, test=test, validation=validation)
        assert classifier._judged(other)[0] == name


def test_refuses_a_dataset_without_labels():
    split = Split(np.zeros((4, 8, 8, 1), np.uint8), None)
    with pytest.raises(UserError, match="ring has no labels"):
        reference_classifier(Dataset("ring", split, split, split))


def test_an_unwritable_cache_is_reported_and_ignored(trainings, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    said = []
    reference_classifier(small(), said.append, SHORT)
    assert any("cannot be" in line for line in said)
    assert file.read_text() == ""


def test_ignores_a_relative_cache_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    expected = pathlib.Path.home() / ".cache" / "jaxgan"
    assert cache_folder() == str(expected)


def test_a_run_in_float64_gets_the_same_weights(weights, float64):
    trained = reference_classifier(small(), lambda _: None, SHORT)
    assert trained.digest == classifier._digest(weights[0]).hex()[:16]
    assert trained.features(small().test.images).dtype == np.float32


def test_a_shift_moves_whole_images_within_its_reach():
    images = np.zeros((50, 28, 28, 1), np.uint8)
    images[:, 10, 20] = 255
    moved = classifier._shifted(images, 0)
    _, rows, columns, _ = np.nonzero(moved)
    assert len(rows) == 50
    assert set(rows) == set(range(8, 13))
    assert set(columns) == set(range(18, 23))
    assert np.array_equal(moved, classifier._shifted(images, 0))
    assert not np.array_equal(moved, classifier._shifted(images, 1))


def test_the_recipe_goes_by_the_number_of_images():
    assert recipe_for(55_000, 1) == Recipe(128, 1719)
    assert recipe_for(50_000, 3) == Recipe(128, 3125)
    assert recipe_for(1_205, 1) == Recipe(32, 282)
    assert recipe_for(10, 1) == Recipe(10, 900)
