"""Rows of the linear probe: an SVM fitted on a discriminator's features."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Split
from jaxgan.evaluation.context import EvaluationContext, GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.feature_maps import FeatureReader
from jaxgan.metrics.images.linear_probe import can_fit, fit_svm
from jaxgan.models.variables import Variables
from jaxgan.training.gan import Gan
from jaxgan.training.state import initialise

# Training images of each class in the small training set.
EACH = 100
# Seed of the choice of training images, the same for all runs.
SEED = 0
# Test images whose features are in memory at once: the features of all would take half a GiB.
_BLOCK = 1_000

Features = Callable[[np.ndarray], np.ndarray]


class Accuracy(NamedTuple):
    """How well an SVM classifies unseen images.

    Attributes:
      variant: ending of the metric's name: "", or the size of the small training set.
      value: the accuracy, in [0, 1].
      fitted, tested: numbers of images that it was fitted and tested on.
      c: the SVM's C.
    """

    variant: str
    value: float
    fitted: int
    tested: int
    c: float


def svm_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """The accuracy of an L2-SVM on the convolutions of the discriminator, on those of an untrained
    discriminator, and on raw pixels. [] for a conditional discriminator, one without convolutions,
    a dataset without labels, or one whose training images are nearly all of one class."""
    context, seed = samples.context, samples.about["seed"]
    split, test = context.dataset.split("test")
    if context.gan.condition is not None or len(context.dataset.classes) < 2 or test.labels is None:
        return []
    if "" not in _training_sets(context):
        return []
    trained = _discriminator_accuracies(context, samples.networks.discriminator)
    if not trained:
        return []
    untrained = context.once(
        ("untrained", seed),
        lambda: _discriminator_accuracies(context, _untrained(context.gan, seed)),
    )
    pixels = context.once("pixels", lambda: _accuracies(context, _pixels))
    statistics = len(_training_sets(context)[""])
    rows = []
    for ending, features, accuracies in (
        ("", "discriminator", trained),
        ("_untrained", "untrained discriminator", untrained),
        ("_pixels", "pixels", pixels),
    ):
        for one in accuracies:
            protocol = (
                f"L2-SVM on {one.fitted} training images (seed {SEED}), C {one.c:g} chosen on a"
                " fifth of them; features standardised; convolutions max-pooled to 4x4,"
                f" BatchNorm's statistics re-estimated on {statistics} training images"
            )
            name = f"svm_accuracy{one.variant}{ending}"
            about: dict[str, Any] = {"n_real": one.tested, "extractor": features}
            rows.append(samples.row(name, one.value, "share", split, protocol, **about))
    return rows


def _training_sets(context: EvaluationContext) -> dict[str, Split]:
    """The training sets by variant: images in random order, and, if each class has `EACH` images,
    that many of each class."""

    def draw() -> dict[str, Split]:
        train = context.dataset.train
        assert train.labels is not None
        generator = np.random.default_rng(SEED)
        order = generator.permutation(len(train.labels))
        sets = {"": order[: context.svm_images]}
        of_each = [order[train.labels[order] == label][:EACH] for label in context.dataset.classes]
        if min(map(len, of_each)) == EACH:
            few = generator.permutation(np.concatenate(of_each))
            sets[f"_{len(few)}_labels"] = few
        return {
            name: train.take(indices).first(len(indices))
            for name, indices in sets.items()
            if can_fit(train.labels[indices])
        }

    return context.once("svm_training_sets", draw)


def _discriminator_accuracies(
    context: EvaluationContext, discriminator: Variables
) -> list[Accuracy]:
    """The accuracies on a discriminator's features."""
    reader = context.once("feature_reader", lambda: FeatureReader(context.gan))
    recalibrated = context.functions.recalibrate_discriminator(
        discriminator, _training_sets(context)[""].images
    )
    return _accuracies(context, functools.partial(reader, recalibrated))


def _accuracies(context: EvaluationContext, features: Features) -> list[Accuracy]:
    """Fits on each training set and tests on unseen images; [] if there are no features."""
    sets = _training_sets(context)
    if not features(sets[""].images[:1]).shape[1]:
        return []
    unseen = context.dataset.split("test")[1].first(context.limit)
    images, labels = unseen.images, unseen.labels
    assert labels is not None
    fitted, correct = {}, {}
    for variant, one in sets.items():
        assert one.labels is not None
        fitted[variant], correct[variant] = fit_svm(features(one.images), one.labels), 0
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        block_features = features(images[block])
        for variant, svm in fitted.items():
            correct[variant] += int(np.sum(svm.predict(block_features) == labels[block]))
    return [
        Accuracy(name, correct[name] / len(images), len(sets[name]), len(images), svm.c)
        for name, svm in fitted.items()
    ]


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)


def _untrained(gan: Gan, seed: int) -> Variables:
    key = stream(jax.random.key(seed), "evaluate/untrained")
    return jax.jit(lambda: initialise(gan, key))().discriminator.variables
