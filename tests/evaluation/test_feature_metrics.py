"""The rows of the measures on features: which sets are compared, and with what reference."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.sources import digits, stacked
from jaxgan.data.streaming import ArraySource, Streamed
from jaxgan.evaluation import feature_metrics, features
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.features import Extractor, RealFeatures
from jaxgan.evaluation.image_metrics import frechet_distance
from jaxgan.metrics.extractors import classifier
from jaxgan.metrics.extractors.classifier import Recipe
from jaxgan.metrics.extractors.thumbnails import thumbnails
from jaxgan.metrics.images import kernel_distance, precision_recall
from jaxgan.metrics.images.class_score import class_score
from jaxgan.metrics.images.memorisation import CopyingTest
from jaxgan.metrics.images.nearest_neighbour import nearest_neighbour_error, two_sample_accuracy
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.reporting.images import cut, neighbours

ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}
NO_LABELS = SimpleNamespace(gan=SimpleNamespace(condition=None))
LABELS = SimpleNamespace(gan=SimpleNamespace(condition=Label(3, (0, 1, 2))))


class Shades:
    """A classifier of three shades."""

    name, digest = "shades", "012"
    features = staticmethod(thumbnails)

    @staticmethod
    def probabilities(images):
        return np.eye(3)[(images.mean(axis=(1, 2, 3)) // 86).astype(int)]


def images(seed, n, low=0, high=256):
    """uint8 [n, 4, 4, 1], each about a shade of its own."""
    generator = np.random.default_rng(seed)
    shade = generator.uniform(low, high, (n, 1, 1, 1))
    return np.clip(shade + generator.normal(0, 30, (n, 4, 4, 1)), 0, 255).astype(np.uint8)


def split(seed, n):
    drawn = images(seed, n)
    return Split(drawn, (drawn.mean(axis=(1, 2, 3)) // 86).astype(np.int32))


@pytest.fixture
def dataset():
    return Dataset("shades", split(1, 500), split(2, 80), split(3, 100), ("a", "b", "c"))


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    monkeypatch.setattr("jaxgan.evaluation.features.reference_classifier", lambda *_, **__: Shades)


def context_of(dataset, limit=100, functions=NO_LABELS, **values):
    return make_context(functions, dataset, limit, **values)


def drawn_by(context, drawn, labels=None):
    """Samples with these images, as if a generator had drawn them."""
    samples = GeneratedSamples(context, None, ABOUT)
    samples.images, samples.labels = drawn, labels
    return samples


def of(rows):
    return {row.name: row for row in rows}


@pytest.mark.parametrize("limit", [60, 1_000])
def test_distances_compare_equal_numbers_with_training_images_as_reference(dataset, limit):
    n = min(limit, 100)
    samples = drawn_by(context_of(dataset, limit), images(9, n))
    real, train = (thumbnails(s.images[:n]) for s in (dataset.test, dataset.train))
    drawn = thumbnails(samples.images)
    expected = {
        "kernel_distance": lambda x: kernel_distance.kernel_distance(real, x).value,
        "precision": lambda x: precision_recall.precision_recall(real, x).precision,
        "recall": lambda x: precision_recall.precision_recall(real, x).recall,
        "density": lambda x: precision_recall.density_coverage(real, x).density,
        "coverage": lambda x: precision_recall.density_coverage(real, x).coverage,
        "two_sample_accuracy": lambda x: two_sample_accuracy(real, x).accuracy,
    }
    metrics = (
        feature_metrics.kernel_distance,
        feature_metrics.precision_and_recall,
        feature_metrics.density_and_coverage,
        feature_metrics.two_sample_accuracy,
    )
    rows = of(row for metric in metrics for row in metric(samples))
    assert set(rows) == set(expected)
    for name, value in expected.items():
        row = rows[name]
        assert (row.value, row.reference) == pytest.approx((value(drawn), value(train)))
        assert (row.split, row.n_real, row.n_generated) == ("test", n, n)
        assert (row.extractor, row.extractor_hash) == ("shades", "012")
        assert f"reference: {n} training images" in row.protocol
    error = kernel_distance.kernel_distance(real, drawn).error
    assert f"error {error:.2g} over 10 disjoint subsets" in rows["kernel_distance"].protocol


def test_memorisation_has_validation_images_as_reference(dataset):
    context = context_of(dataset)
    train, held_out, real = (
        thumbnails(getattr(dataset, name).images) for name in ("train", "validation", "test")
    )
    for drawn in (images(9, 100), dataset.train.images[:100]):
        rows = of(feature_metrics.memorisation(drawn_by(context, drawn)))
        found = CopyingTest(train, real).of(thumbnails(drawn))
        floor = CopyingTest(train, real).of(held_out)
        row, closer = rows["memorisation"], rows["memorisation_closer"]
        assert (row.value, row.reference) == pytest.approx((found.statistic, floor.statistic))
        assert (closer.value, closer.reference) == pytest.approx((found.closer, floor.closer))
        assert "nearest of 500 training images" in row.protocol
        assert "80 validation images" in row.protocol
    # The last ones were copies.
    assert row.value < -4 < row.reference - 1
    assert closer.value == pytest.approx(1)


def test_worse_samples_measure_worse(dataset):
    """Fresh real images, one shade only, and noise."""
    context = context_of(dataset)
    drawn = images(9, 100), images(9, 100, 0, 10)
    unlike = np.random.default_rng(0).integers(0, 2, (100, 4, 4, 1)) * 255
    fresh, collapsed, noise = (drawn_by(context, x.astype(np.uint8)) for x in (*drawn, unlike))
    kernel = [feature_metrics.kernel_distance(x)[0].value for x in (fresh, collapsed)]
    assert abs(kernel[0]) < 0.1 < 0.5 < kernel[1]
    rows = [of(feature_metrics.density_and_coverage(x)) for x in (fresh, collapsed, noise)]
    assert rows[0]["coverage"].value > 0.8 > 0.3 > rows[1]["coverage"].value
    assert rows[2]["density"].value < 0.1 < 0.7 < rows[0]["density"].value
    apart = [feature_metrics.two_sample_accuracy(x)[0].value for x in (fresh, noise)]
    assert abs(apart[0] - 0.5) < 0.15 < 0.2 < apart[1] - 0.5


def test_class_score_has_unseen_images_as_reference(dataset):
    samples = drawn_by(context_of(dataset), images(9, 100, 100, 150))
    [row] = feature_metrics.class_score(samples)
    assert row.value == pytest.approx(1, abs=0.2)
    expected = class_score(Shades.probabilities(dataset.test.images)).value
    assert row.reference == pytest.approx(expected)
    # Of readings that are sure, the entropy of their shares.
    shares = np.bincount(dataset.test.labels, minlength=3) / len(dataset.test)
    assert expected == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), abs=0.4)
    assert (row.extractor_hash, row.n_real, row.n_generated) == ("012", 100, 100)
    unlabelled = dataclasses.replace(dataset, train=Split(dataset.train.images, None))
    samples = drawn_by(context_of(unlabelled), images(9, 100))
    assert feature_metrics.class_score(samples) == []


def test_nearest_neighbour_error_fits_on_generated_labels(dataset):
    context, drawn = context_of(dataset, 150, LABELS), split(9, 150)
    error = feature_metrics.nearest_neighbour_error
    [row] = error(drawn_by(context, drawn.images, drawn.labels))
    train, test = dataset.train.first(150), dataset.test
    unseen = test.images, test.labels
    expected = [nearest_neighbour_error(x.images, x.labels, *unseen) for x in (drawn, train)]
    assert (row.value, row.reference) == pytest.approx(tuple(expected))
    assert (row.n_generated, row.n_real) == (150, 100)
    shuffled = np.random.default_rng(0).permutation(drawn.labels)
    [worse] = error(drawn_by(context, drawn.images, shuffled))
    assert worse.value > 0.5 > 0.3 > row.value


def test_references_are_computed_once(dataset, monkeypatch):
    """Several seeds and their best networks share them, and the features of real images."""
    read, called, original = [], [], kernel_distance.kernel_distance

    def features(x):
        read.append(len(x))
        return thumbnails(x)

    def counted(*sets):
        called.append(sets)
        return original(*sets)

    monkeypatch.setattr("jaxgan.evaluation.feature_metrics.kernel_lib.kernel_distance", counted)
    context = context_of(dataset, extractor=Extractor("counted", "1", features))
    drawn = [drawn_by(context, images(seed, 100)) for seed in (8, 9)]
    first, second = (feature_metrics.kernel_distance(x)[0] for x in drawn)
    assert first.reference == pytest.approx(second.reference)
    assert first.value != pytest.approx(second.value)
    assert len(called) == 3
    feature_metrics.two_sample_accuracy(drawn[0])
    frechet_distance(drawn[0])
    # Of the test and the training images, and of each generated set, once each.
    assert read == [100] * 4


def test_memorisation_keeps_the_datasets_own_extractor(dataset):
    inverse = Extractor("inverse", "9", lambda x: 1 - thumbnails(x)[:, :3])
    samples = drawn_by(context_of(dataset, extractor=inverse), images(9, 100))
    [row] = feature_metrics.kernel_distance(samples)
    assert (row.extractor, row.extractor_hash) == ("inverse", "9")
    plain = drawn_by(context_of(dataset), samples.images)
    assert row.value != pytest.approx(feature_metrics.kernel_distance(plain)[0].value)
    assert frechet_distance(samples)[0].extractor == "inverse"
    own, of_plain = map(feature_metrics.memorisation, (samples, plain))
    # K-means adds up what its threads found in no fixed order.
    for one, other in zip(own, of_plain, strict=True):
        assert (one.value, one.reference) == pytest.approx((other.value, other.reference))
    assert own[0].extractor == "shades"


def test_without_unseen_images_there_is_no_reference(dataset):
    none = dataset.test.first(0)
    only = dataclasses.replace(dataset, validation=none, test=none)
    drawn = images(9, 100)
    samples = drawn_by(context_of(only), drawn)
    [row] = feature_metrics.kernel_distance(samples)
    assert (row.split, row.reference) == ("train", None)
    assert "reference" not in row.protocol
    assert feature_metrics.memorisation(samples) == []
    without = drawn_by(context_of(dataclasses.replace(dataset, validation=none)), drawn)
    assert feature_metrics.memorisation(without)[0].reference is None
    few = drawn_by(context_of(dataset, 19), drawn[:19])
    assert feature_metrics.kernel_distance(few) == []
    assert feature_metrics.memorisation(few) == []
    assert feature_metrics.two_sample_accuracy(few) == []


def test_the_protocol_names_the_generators_condition(dataset):
    filled = SimpleNamespace(gan=SimpleNamespace(condition=MaskedImage(0.5)))
    for functions, said in ((filled, True), (NO_LABELS, False)):
        samples = drawn_by(context_of(dataset, 100, functions), images(9, 100))
        [row] = feature_metrics.kernel_distance(samples)
        assert ("with their known part given to the generator" in row.protocol) == said


def test_the_sheet_shows_each_image_with_its_nearest(dataset):
    """Copies are their own nearest images, whether the training images are streamed or not."""
    copied = np.arange(0, 400, 4)
    drawn = dataset.train.images[copied]
    streamed = Split(Streamed(ArraySource(dataset.train.images)), dataset.train.labels)
    sheets = [
        neighbours(*feature_metrics.nearest_training_images(drawn_by(context_of(data), drawn)))
        for data in (dataset, dataclasses.replace(dataset, train=streamed))
    ]
    np.testing.assert_array_equal(*sheets)
    left, right = np.split(sheets[0], [8], axis=1)
    ours, nearest = cut(left, 4, 4), cut(right[:, 4:], 4, 4)
    np.testing.assert_array_equal(ours[:, 0], drawn[::10])
    np.testing.assert_array_equal(nearest[:, 0], drawn[::10])
    away = np.abs(nearest.astype(int) - ours.astype(int)).astype(float) ** 2
    away = away.sum(axis=(2, 3, 4))
    assert away.shape == (10, 8)
    assert (np.diff(away, axis=1) >= 0).all()
    assert (away[:, 1] > 0).all()


@pytest.mark.parametrize(
    ("about", "purpose"),
    [
        ({}, "distances between images are those of its features"),
        ({"classifier_optional": True}, "its features (best_by=none leaves it out)"),
        (
            {"classifier_optional": True, "label_condition": True},
            "it reads the label of each generated image",
        ),
    ],
)
def test_training_a_classifier_is_announced_with_its_purpose(monkeypatch, tmp_path, about, purpose):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(features, "reference_classifier", classifier.reference_classifier)
    monkeypatch.setattr(classifier, "recipe_for", lambda *_: Recipe(8, 1))
    said = []
    assert RealFeatures(digits.load(8), log=said.append, **about).classifier is not None
    assert said[0].startswith("training the reference classifier of digits on 1501 images, once: ")
    assert said[0].endswith(purpose)


def test_stacked_digits_are_read_channel_by_channel(monkeypatch):
    single = digits.load(8)
    asked = []
    classifier = SimpleNamespace(name="c", digest="5", features=lambda x: x.mean(axis=(1, 2)))
    monkeypatch.setattr(
        "jaxgan.evaluation.features.reference_classifier",
        lambda dataset, say, purpose: asked.append(dataset) or classifier,
    )
    stack = stacked.load(single)
    real = RealFeatures(stack)
    found = real.of_split("test", 30)
    np.testing.assert_allclose(found, stack.test.images[:30].mean(axis=(1, 2)))
    assert asked == [single]
    assert real.extractor.name == "c on each channel"
    assert real.classifier is None
    # With the mode as the condition, samples are read back.
    assert RealFeatures(stack, label_condition=True).classifier is classifier
    assert RealFeatures(stack, classify=False).extractor.name == "8x8 thumbnails"


@pytest.mark.parametrize("count", [3, 20, 2_000])
def test_labels_are_asked_for_equally_often(dataset, count):
    condition = Label(62, tuple(range(62)))
    functions = SimpleNamespace(gan=SimpleNamespace(condition=condition, dtype=np.float32))
    samples = GeneratedSamples(context_of(dataset, count, functions), None, ABOUT)
    assert len(samples.labels) == count
    assert samples.labels.tolist() == sorted(samples.labels)
    counts = np.bincount(samples.labels, minlength=62)
    assert counts.max() - counts.min() <= 1
