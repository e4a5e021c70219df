"""Rows of the linear probe: a classifier fitted on a discriminator's features."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Split
from jaxgan.evaluation.context import EvaluationContext, GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.feature_maps import FeatureReader
from jaxgan.metrics.images.linear_probe import fit_svm
from jaxgan.models.variables import Variables
from jaxgan.training.gan import Gan
from jaxgan.training.state import initialise

# Training images of each class where labels are few, and the seed that draws training images, the
# same for all runs.
EACH, SEED = 100, 0
# Test images whose features are in memory at once: those of all would take half a GiB.
_BLOCK = 1_000

Features = Callable[[np.ndarray], np.ndarray]


class Reading(NamedTuple):
    """How well a classifier reads unseen images.

    Attributes:
      variant: "", or the name of the few labels it was fitted on.
      accuracy: in [0, 1].
      fitted, tested: images it was fitted and tested on.
      c: of the SVM.
    """

    variant: str
    accuracy: float
    fitted: int
    tested: int
    c: float


def svm_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """The accuracy of an L2-SVM on the discriminator's convolutions, on an untrained
    discriminator's, and on raw pixels. [] for a conditional discriminator, one without
    convolutions, or a dataset without labels."""
    context = samples.context
    tested, _ = context.dataset.split("test")
    unlabelled = context.dataset.split("test")[1].labels is None
    if context.gan.condition is not None or len(context.dataset.classes) < 2 or unlabelled:
        return []
    trained = _readings_of(context, samples.networks.discriminator)
    if not trained:
        return []
    seed = samples.about["seed"]
    untrained = context.once(
        ("untrained", seed), lambda: _readings_of(context, _untrained(context.gan, seed))
    )
    pixels = context.once("pixels", lambda: _readings(context, _pixels))
    statistics = len(_training_sets(context)[""])
    return [
        MetricResult(
            f"svm_accuracy{one.variant}{ending}",
            one.accuracy,
            "share",
            tested,
            n_real=one.tested,
            extractor=extractor,
            protocol=f"L2-SVM on {one.fitted} training images (seed {SEED}), C {one.c:g} chosen"
            " on a fifth of them; features standardised; convolutions max-pooled to 4x4,"
            f" BatchNorm's statistics re-estimated on {statistics} training images",
            **samples.about,
        )
        for ending, extractor, readings in (
            ("", "discriminator", trained),
            ("_untrained", "untrained discriminator", untrained),
            ("_pixels", "pixels", pixels),
        )
        for one in readings
    ]


def _training_sets(context: EvaluationContext) -> dict[str, Split]:
    """Training images in random order, and as many of each class where there are enough."""

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
        return {name: train.take(indices).first(len(indices)) for name, indices in sets.items()}

    return context.once("svm_training_sets", draw)


def _readings_of(context: EvaluationContext, discriminator: Variables) -> list[Reading]:
    """On a discriminator's features."""
    reader = context.once("feature_reader", lambda: FeatureReader(context.gan))
    recalibrated = context.functions.recalibrate_discriminator(
        discriminator, _training_sets(context)[""].images
    )
    return _readings(context, functools.partial(reader, recalibrated))


def _readings(context: EvaluationContext, features: Features) -> list[Reading]:
    """Fits on the training sets, tests on unseen images; [] where there are no features."""
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
        read = features(images[block])
        for variant, svm in fitted.items():
            correct[variant] += int(np.sum(svm.predict(read) == labels[block]))
    return [
        Reading(name, correct[name] / len(images), len(sets[name]), len(images), svm.c)
        for name, svm in fitted.items()
    ]


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)


def _untrained(gan: Gan, seed: int) -> Variables:
    key = stream(jax.random.key(seed), "evaluate/untrained")
    return jax.jit(lambda: initialise(gan, key))().discriminator.variables
