"""Which data is measured how: pictures, points around known modes, and other points."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from conftest import load_config

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.dataset import Dataset, Modes, Split
from jaxgan.data.sources import digits, ring
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.image_metrics import frechet_distance, pairwise_distance
from jaxgan.evaluation.runner import TrainingMetrics
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.extractors.thumbnails import thumbnails
from jaxgan.metrics.images import pairwise_distance as pairwise_distance_lib
from jaxgan.models.conditions import Label
from jaxgan.reporting.images import scatter
from jaxgan.train import train
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}
SMALL = {"width": 0.05, "batch_size": 8, "steps": 2, "tensorboard": False, "progress": False}


def points_config(**values):
    return update(load_config("gan", "ring"), SMALL | values)


def points(name="ring", modes=None):
    drawn = np.random.default_rng(0).normal(size=(40, 1, 1, 2)).astype(np.float32)
    split = Split(drawn, None)
    return Dataset(name, split, split.first(10), split.first(0), modes=modes)


@pytest.fixture(scope="module")
def flat():
    """A GAN that draws points of the plane, untrained."""
    gan = build_gan(points_config(), (1, 1, 2))
    return gan, networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())


def test_points_without_modes_are_not_measured(flat):
    """Whatever they are called: only data that carries its modes is asked for them."""
    said = []
    metrics = TrainingMetrics(NetworkFunctions(flat[0]), points(), "none", said.append)
    assert [metrics.at_end(flat[1], ABOUT, 10) for _ in range(2)] == [[], []]
    assert said == ["ring: points around unknown modes; no metric applies to them"]


@pytest.mark.parametrize("best_by", ["parzen_log_likelihood", "frechet_distance"])
@pytest.mark.parametrize("dataset", [points("mine"), ring.load()], ids=["mine", "ring"])
def test_a_measure_of_pictures_cannot_pick_among_points(tmp_path, best_by, dataset):
    config = points_config(best_by=best_by)
    with pytest.raises(UserError, match=f"best_by={best_by}: {dataset.name} holds float32 points"):
        train(config, str(tmp_path / "run"), dataset=dataset)
    assert not (tmp_path / "run").exists()


def test_the_modes_are_those_that_the_data_carries(flat):
    two = Modes(ring.centres()[:2] * 3, 5.0)
    for modes, found in ((two, 2), (Modes(two.centres + 100, 0.1), 0)):
        metrics = TrainingMetrics(NetworkFunctions(flat[0]), points(modes=modes), "none")
        [one] = metrics.at_end(flat[1], ABOUT, 10)
        assert (one.name, one.value, one.reference) == ("modes_found", found, 2)


def test_points_of_any_dimension_are_drawn_where_they_lie():
    for dimensions in (1, 2, 3):
        place = np.array([[1.0, 0.0, 2.9]])[:, :dimensions]
        [[y, x, _]] = np.argwhere(scatter(place, limit=2.0, size=8) == 255)
        assert (y, x) == (3, 6)


@pytest.mark.parametrize(
    ("name", "best_by", "trained"),
    [
        ("gan", "none", False),
        ("gan", "parzen_log_likelihood", True),
        ("cgan", "none", True),
        ("cgan", "frechet_distance", True),
    ],
)
def test_only_metrics_that_need_it_train_the_reference_classifier(
    monkeypatch, name, best_by, trained
):
    """With best_by=none only a run conditioned on labels, to read them."""
    monkeypatch.setattr(
        "jaxgan.evaluation.features.reference_classifier", lambda *_, **__: Thumbnails
    )
    dataset = digits.load()
    condition = Label(10, tuple(range(10))) if name == "cgan" else None
    gan = build_gan(load_config(name), dataset.image_shape, condition)
    classify = best_by != "none"
    extractor = make_context(NetworkFunctions(gan), dataset, 10, classify=classify).real.extractor
    assert extractor.name == ("a classifier" if trained else "8x8 thumbnails")


class Thumbnails:
    """What the metrics need of a reference classifier."""

    name, digest = "a classifier", ""
    features = staticmethod(thumbnails)


def test_without_held_out_images_there_is_no_reference():
    """Training images against themselves would be 0, and a perfect floor."""
    pictures = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    train, nothing = Split(pictures[:40], None), Split(pictures[:0], None)
    gan = build_gan(update(load_config("gan"), {"width": 0.05}), (8, 8, 1))

    def row(test, train=train):
        dataset = Dataset("own", train, nothing, test)
        samples = GeneratedSamples(
            make_context(NetworkFunctions(gan), dataset, 20, classify=False), None, ABOUT
        )
        samples.images = pictures[20:40]
        return frechet_distance(samples)[0]

    held_out = row(Split(pictures[40:], None))
    assert held_out.split == "test"
    assert held_out.reference > 0
    assert "reference: 20 training images" in held_out.protocol
    alone = row(nothing)
    assert (alone.split, alone.reference) == ("train", None)
    assert "reference" not in alone.protocol
    # Thumbnails of other images are another extractor's.
    other = row(nothing, Split(pictures[10:50], None))
    assert other.extractor == alone.extractor == "8x8 thumbnails"
    assert other.extractor_hash != alone.extractor_hash


# --- The distance of pairs


def paired(images, real, condition=None, labels=None):
    """The rows of `pairwise_distance` of these generated images and real test images."""
    functions = SimpleNamespace(gan=SimpleNamespace(condition=condition, q=None))
    dataset = Dataset("own", real, real.first(0), real)
    samples = GeneratedSamples(make_context(functions, dataset, len(images)), None, ABOUT)
    samples.images, samples.labels = images, labels
    return pairwise_distance(samples)


def some_images(seed, n):
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 1), np.uint8)


def test_distance_of_pairs_has_real_images_as_reference():
    generated, real = some_images(0, 90) // 4, Split(some_images(1, 60), None)
    [row] = paired(generated, real)
    distance = pairwise_distance_lib.pairwise_distance
    assert (row.value, row.reference) == (distance(generated), distance(real.images))
    assert (row.split, row.unit) == ("generated", "pixel range")
    assert (row.n_generated, row.n_real) == (90, 60)
    assert "reference: 60 test images" in row.protocol


def test_one_image_of_each_label_is_seen_as_collapse():
    """Across labels the images differ as much as real ones."""
    labels, real = np.repeat(np.arange(3), 20), some_images(1, 60)
    of_label = some_images(0, 3)[labels]
    [row] = paired(of_label, Split(real, labels.astype(np.int32)), Label(3, (0, 1, 2)), labels)
    assert row.value == 0
    assert row.reference > 0.3
    assert "of the same label" in row.protocol
    [blind] = paired(of_label, Split(real, None))
    assert blind.value > 0.2


def test_without_pairs_of_real_images_there_is_no_reference():
    labels = np.repeat(np.arange(3), 20)
    real = Split(some_images(1, 3), np.arange(3, dtype=np.int32))
    [row] = paired(some_images(0, 60), real, Label(3, (0, 1, 2)), labels)
    assert row.reference is None
    assert paired(some_images(0, 3), real, Label(3, (0, 1, 2)), np.arange(3)) == []


def test_runs_with_codes_measure_a_fifth_of_the_images(monkeypatch):
    """They draw no others at the end of training."""
    drawn = []
    monkeypatch.setattr(GeneratedSamples, "draw", lambda _, n: drawn.append(n) or some_images(0, n))
    functions = SimpleNamespace(gan=SimpleNamespace(condition=None, q=object()))
    real = Split(some_images(1, 60), None)
    context = make_context(functions, Dataset("own", real, real, real), 10_000)
    [row] = pairwise_distance(GeneratedSamples(context, None, ABOUT))
    assert (drawn, row.n_generated) == ([2_000], 2_000)
