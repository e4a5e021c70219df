"""The rows of the measures on features: what is held against what, and what stands beside it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgan.conditions import KnownPart, Label
from jaxgan.data import digits, stacked
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.streaming import ArraySource, Streamed
from jaxgan.distance_measures import DistanceMeasures
from jaxgan.image_measures import Extractor, ImageMeasures
from jaxgan.images import cut
from jaxgan.metrics import kernel_distance, precision_recall
from jaxgan.metrics.class_score import class_score
from jaxgan.metrics.frechet import thumbnails
from jaxgan.metrics.memorisation import memorisation
from jaxgan.metrics.nearest_neighbour import nearest_neighbour_error, two_sample_accuracy

ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}
NO_LABELS = SimpleNamespace(gan=SimpleNamespace(condition=None))
TOLD_LABELS = SimpleNamespace(gan=SimpleNamespace(condition=Label(3, (0, 1, 2))))


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
    monkeypatch.setattr("jaxgan.image_measures.reference_classifier", lambda *_: Shades)


def made(dataset, limit=100, instruments=NO_LABELS, **values):
    return DistanceMeasures(ImageMeasures(instruments, dataset, **values), limit)


def of(rows):
    return {row.name: row for row in rows}


@pytest.mark.parametrize("limit", [60, 1_000])
def test_rows_hold_as_many_of_each_and_training_images_beside(dataset, limit):
    measures, n = made(dataset, limit), min(limit, 100)
    real, train = (thumbnails(s.images[:n]) for s in (dataset.test, dataset.train))
    drawn = thumbnails(images(9, n))
    expected = {
        "kernel_distance": lambda x: kernel_distance.kernel_distance(real, x).value,
        "precision": lambda x: precision_recall.precision_recall(real, x).precision,
        "recall": lambda x: precision_recall.precision_recall(real, x).recall,
        "density": lambda x: precision_recall.density_coverage(real, x).density,
        "coverage": lambda x: precision_recall.density_coverage(real, x).coverage,
        "two_sample_accuracy": lambda x: two_sample_accuracy(real, x).accuracy,
    }
    of_features = (
        measures.kernel, measures.precision_recall, measures.density_coverage, measures.two_sample,
    )  # fmt: skip
    rows = of(row for measure in of_features for row in measure(drawn, ABOUT))
    assert set(rows) == set(expected)
    for name, value in expected.items():
        row = rows[name]
        assert (row.value, row.reference) == pytest.approx((value(drawn), value(train)))
        assert (row.split, row.n_real, row.n_generated) == ("test", n, n)
        assert (row.extractor, row.extractor_hash) == ("shades", "012")
        assert f"beside it {n} training images" in row.protocol
    error = kernel_distance.kernel_distance(real, drawn).error
    assert f"error {error:.2g} over 10 disjoint subsets" in rows["kernel_distance"].protocol


def test_memorisation_has_validation_images_beside_it(dataset):
    measures = made(dataset)
    train, held_out, real = (
        thumbnails(getattr(dataset, name).images) for name in ("train", "validation", "test")
    )
    for drawn in (images(9, 100), dataset.train.images[:100]):
        rows = of(measures.memorisation(thumbnails(drawn), ABOUT))
        found = memorisation(train, real, thumbnails(drawn))
        floor = memorisation(train, real, held_out)
        row, closer = rows["memorisation"], rows["memorisation_closer"]
        assert (row.value, row.reference) == pytest.approx((found.statistic, floor.statistic))
        assert (closer.value, closer.reference) == pytest.approx((found.closer, floor.closer))
        assert "nearest of 500 training images" in row.protocol
        assert "80 validation images" in row.protocol
    # The last ones were copies.
    assert row.value < -4 < row.reference - 1
    assert closer.value == pytest.approx(1)


def test_the_best_generator_and_worse_ones(dataset):
    """Fresh real images, one shade only, and noise."""
    measures = made(dataset)
    drawn = images(9, 100), images(9, 100, 0, 10)
    unlike = np.random.default_rng(0).integers(0, 2, (100, 4, 4, 1)) * 255
    fresh, collapsed, noise = (thumbnails(x.astype(np.uint8)) for x in (*drawn, unlike))
    kernel = [measures.kernel(x, ABOUT)[0].value for x in (fresh, collapsed)]
    assert abs(kernel[0]) < 0.1 < 0.5 < kernel[1]
    rows = [of(measures.density_coverage(x, ABOUT)) for x in (fresh, collapsed, noise)]
    assert rows[0]["coverage"].value > 0.8 > 0.3 > rows[1]["coverage"].value
    assert rows[2]["density"].value < 0.1 < 0.7 < rows[0]["density"].value
    apart = [measures.two_sample(x, ABOUT)[0].value for x in (fresh, noise)]
    assert abs(apart[0] - 0.5) < 0.15 < 0.2 < apart[1] - 0.5


def test_the_class_score_stands_beside_that_of_unseen_images(dataset):
    [row] = made(dataset).class_score(images(9, 100, 100, 150), ABOUT)
    assert row.value == pytest.approx(1, abs=0.2)
    expected = class_score(Shades.probabilities(dataset.test.images)).value
    assert row.reference == pytest.approx(expected)
    # Of readings that are sure, the entropy of their shares.
    shares = np.bincount(dataset.test.labels, minlength=3) / len(dataset.test)
    assert expected == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), abs=0.4)
    assert (row.extractor_hash, row.n_real, row.n_generated) == ("012", 100, 100)
    unlabelled = dataclasses.replace(dataset, train=Split(dataset.train.images, None))
    assert made(unlabelled).class_score(images(9, 100), ABOUT) == []


def test_labels_that_were_asked_for_are_a_training_set(dataset):
    measures, drawn = made(dataset, 150, TOLD_LABELS), split(9, 150)
    [row] = measures.nearest_neighbour_error(drawn.images, drawn.labels, ABOUT)
    train, test = dataset.train.first(150), dataset.test
    unseen = test.images, test.labels
    expected = [nearest_neighbour_error(x.images, x.labels, *unseen) for x in (drawn, train)]
    assert (row.value, row.reference) == pytest.approx(tuple(expected))
    assert (row.n_generated, row.n_real) == (150, 100)
    shuffled = np.random.default_rng(0).permutation(drawn.labels)
    [worse] = measures.nearest_neighbour_error(drawn.images, shuffled, ABOUT)
    assert worse.value > 0.5 > 0.3 > row.value
    assert made(dataset).nearest_neighbour_error(drawn.images, drawn.labels, ABOUT) == []


def test_references_are_computed_once(dataset, monkeypatch):
    """Several seeds and their best networks share them, and the features of real images."""
    read, called = [], []

    def features(x):
        read.append(len(x))
        return thumbnails(x)

    def counted(*sets):
        called.append(sets)
        return kernel_distance.kernel_distance(*sets)

    monkeypatch.setattr("jaxgan.distance_measures.kernel_distance", counted)
    measures = made(dataset, extractor=Extractor("counted", "1", features))
    drawn = [thumbnails(images(seed, 100)) for seed in (8, 9)]
    first, second = (measures.kernel(x, ABOUT)[0] for x in drawn)
    assert first.reference == pytest.approx(second.reference)
    assert first.value != pytest.approx(second.value)
    assert len(called) == 3
    measures.two_sample(drawn[0], ABOUT)
    measures.images.frechet_of("test", drawn[0], ABOUT)
    assert read == [100, 100]


def test_another_extractor_leaves_memorisation_to_the_datasets_own(dataset):
    inverse = Extractor("inverse", "9", lambda x: 1 - thumbnails(x)[:, :3])
    measures, drawn = made(dataset, extractor=inverse), images(9, 100)
    [row] = measures.kernel(inverse.features(drawn), ABOUT)
    assert (row.extractor, row.extractor_hash) == ("inverse", "9")
    plain = made(dataset)
    assert row.value != pytest.approx(plain.kernel(thumbnails(drawn), ABOUT)[0].value)
    assert measures.images.frechet_of("test", inverse.features(drawn), ABOUT).extractor == "inverse"
    own = measures.memorisation(thumbnails(drawn), ABOUT)
    of_plain = plain.memorisation(thumbnails(drawn), ABOUT)
    # K-means adds up what its threads found in no fixed order.
    for one, other in zip(own, of_plain, strict=True):
        assert (one.value, one.reference) == pytest.approx((other.value, other.reference))
    assert own[0].extractor == "shades"


def test_where_nothing_is_unseen_nothing_stands_beside(dataset):
    none = dataset.test.first(0)
    only = dataclasses.replace(dataset, validation=none, test=none)
    drawn = thumbnails(images(9, 100))
    [row] = made(only).kernel(drawn, ABOUT)
    assert (row.split, row.reference) == ("train", None)
    assert "beside" not in row.protocol
    assert made(only).memorisation(drawn, ABOUT) == []
    without = dataclasses.replace(dataset, validation=none)
    assert made(without).memorisation(drawn, ABOUT)[0].reference is None
    few = made(dataset, 19)
    rows = [f(drawn[:19], ABOUT) for f in (few.kernel, few.memorisation, few.two_sample)]
    assert rows == [[], [], []]


def test_what_the_generator_was_given_is_said(dataset):
    filled = SimpleNamespace(gan=SimpleNamespace(condition=KnownPart(0.5)))
    drawn = thumbnails(images(9, 100))
    for instruments, said in ((filled, True), (NO_LABELS, False)):
        [row] = made(dataset, 100, instruments).kernel(drawn, ABOUT)
        assert ("whose known part the generator was given" in row.protocol) == said


def test_the_sheet_shows_each_image_beside_its_nearest(dataset):
    """Copies stand beside themselves, whether the training images are streamed or not."""
    copied = np.arange(0, 400, 4)
    drawn = dataset.train.images[copied]
    streamed = Split(Streamed(ArraySource(dataset.train.images)), dataset.train.labels)
    sheets = [
        made(data, 100).neighbours(drawn, thumbnails(drawn))
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


def test_stacked_digits_are_read_channel_by_channel(monkeypatch):
    single = digits.load(8)
    asked = []
    classifier = SimpleNamespace(name="c", digest="5", features=lambda x: x.mean(axis=(1, 2)))
    monkeypatch.setattr(
        "jaxgan.image_measures.reference_classifier",
        lambda dataset, say: asked.append(dataset) or classifier,
    )
    stack = stacked.load(single)
    measures = ImageMeasures(NO_LABELS, stack)
    found = measures.features("test", 30)
    np.testing.assert_allclose(found, stack.test.images[:30].mean(axis=(1, 2)))
    assert asked == [single]
    assert measures.extractor.name == "c on each channel"
    assert measures.classifier is None
    # A run that is told the modes has them read back.
    assert ImageMeasures(TOLD_LABELS, stack).classifier is classifier
    assert ImageMeasures(NO_LABELS, stack, classify=False).extractor.name == "8x8 thumbnails"
