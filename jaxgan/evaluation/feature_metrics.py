"""Rows of metrics that compare the features of generated and of real images.

The reference of a row is the same metric of as many real training images in the place of the
generated ones: what a perfect generator would reach. Where no image is held out there is none.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.evaluation.context import EvaluationContext, GeneratedSamples, even_indices
from jaxgan.evaluation.features import Extractor
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images import class_score as class_score_lib
from jaxgan.metrics.images import kernel_distance as kernel_lib
from jaxgan.metrics.images import nearest_neighbour, precision_recall
from jaxgan.metrics.images.memorisation import LEAST as LEAST_IN_CELL
from jaxgan.metrics.images.memorisation import CopyingResult, CopyingTest, nearest_training

# With fewer images these metrics say nothing, and some are not defined.
MIN_IMAGES = 20
# Training images that a nearest one is looked for among.
MAX_TRAINING = 60_000
# Of `nearest_training_images`: generated images, and training images of each.
_ROWS, _NEAREST = 10, 8


# --- Two sets of features


def kernel_distance(samples: GeneratedSamples) -> list[MetricResult]:
    """The squared maximum mean discrepancy, unbiased."""
    return _compare(
        samples,
        kernel_lib.kernel_distance,
        {"kernel_distance": ("value", "1")},
        "standard error {0.error:.2g} over {0.subsets} disjoint subsets of {0.subset_size}",
    )


def precision_and_recall(samples: GeneratedSamples) -> list[MetricResult]:
    """The shares of generated images that look real, and of real ones that could be generated."""
    names = {"precision": ("precision", "share"), "recall": ("recall", "share")}
    return _compare(samples, precision_recall.precision_recall, names, "balls to the 3rd nearest")


def density_and_coverage(samples: GeneratedSamples) -> list[MetricResult]:
    """The same two questions, less sensitive to outliers."""
    names = {"density": ("density", "1"), "coverage": ("coverage", "share")}
    return _compare(samples, precision_recall.density_coverage, names, "balls to the 5th nearest")


def two_sample_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """The leave-one-out accuracy of a nearest neighbour that tells generated from real images."""
    return _compare(
        samples,
        nearest_neighbour.two_sample_accuracy,
        {"two_sample_accuracy": ("accuracy", "share")},
        "1-NN, leave-one-out: {0.real:.4f} of real and {0.generated:.4f} of generated images;"
        " 0.5 is chance",
    )


def _compare(
    samples: GeneratedSamples,
    metric: Callable[[np.ndarray, np.ndarray], Any],
    names: dict[str, tuple[str, str]],
    protocol: str,
) -> list[MetricResult]:
    """The rows of a metric of two sets of features.

    Args:
      samples: generated, and the real images to compare with.
      metric: of the features of real and of generated images.
      names: of each row: the field of the metric's result, and the unit.
      protocol: formatted with the metric's result.
    """
    real, split, count = samples.context.real, samples.split, samples.count
    if count < MIN_IMAGES:
        return []
    found = metric(real.of_split(split, count), samples.features)
    reference, note = None, ""
    seen = min(count, len(real.dataset.train))
    if split != "train" and seen >= MIN_IMAGES:
        note = f"; reference: {seen} training images against as many {split} ones"
        reference = samples.context.once(
            (metric, split),
            lambda: metric(real.of_split(split, seen), real.of_split("train", seen)),
        )
    return [
        MetricResult(
            name,
            float(getattr(found, field)),
            unit,
            split,
            n_real=count,
            n_generated=count,
            reference=None if reference is None else float(getattr(reference, field)),
            protocol=f"features of as many generated as {split} images{samples.condition_note};"
            f" {protocol.format(found)}{note}",
            **_identity(real.extractor),
            **samples.about,
        )
        for name, (field, unit) in names.items()
    ]


# --- Classes


def class_score(samples: GeneratedSamples) -> list[MetricResult]:
    """The inception score with the dataset's reference classifier; the reference is that of the
    real images."""
    classifier = samples.context.real.classifier
    if classifier is None or samples.count < MIN_IMAGES:
        return []
    found = class_score_lib.class_score(classifier.probabilities(samples.subset))
    unseen = samples.real.first(samples.count).images
    return [
        MetricResult(
            "class_score",
            found.value,
            "classes",
            "generated",
            n_real=samples.count,
            n_generated=samples.count,
            reference=samples.context.once(
                ("class_score", samples.split),
                lambda: class_score_lib.class_score(classifier.probabilities(unseen)).value,
            ),
            extractor=classifier.name,
            extractor_hash=classifier.digest,
            protocol=f"deviation {found.deviation:.2g} over {found.splits} splits of"
            f" {found.split_size}; reference: as many {samples.split} images",
            **samples.about,
        )
    ]


def nearest_neighbour_error(samples: GeneratedSamples) -> list[MetricResult]:
    """The test error of 1-NN fitted on generated images and their labels; the reference is fitted
    on real ones."""
    unseen = samples.real.first(samples.count)
    if unseen.labels is None or samples.split == "train":
        return []
    test = unseen.images, unseen.labels
    train = samples.context.dataset.train
    train = train.first(min(samples.context.limit, len(train)))
    assert train.labels is not None
    real = train.images, train.labels
    return [
        MetricResult(
            "nearest_neighbour_error",
            nearest_neighbour.nearest_neighbour_error(samples.images, samples.labels, *test),
            "share",
            samples.split,
            n_real=samples.count,
            n_generated=len(samples.images),
            reference=samples.context.once(
                ("nearest_neighbour_error", samples.split),
                lambda: nearest_neighbour.nearest_neighbour_error(*real, *test),
            ),
            protocol="pixels; fitted on generated images, as many of each label; reference: fitted"
            f" on {len(train)} training images",
            **samples.about,
        )
    ]


# --- Nearest training images


def memorisation(samples: GeneratedSamples) -> list[MetricResult]:
    """C_T, and how often a generated image is the closer one to its nearest training image. Always
    on the dataset's own features: another extractor would have to read the whole training split."""
    context, split = samples.context, samples.split
    train = _training_features(context)
    if split == "train" or min(samples.count, len(train)) < MIN_IMAGES:
        return []
    found = _copying_test(samples).of(samples.native_features)
    reference, note = _validation_reference(samples)
    shared: dict[str, Any] = {
        "split": split,
        "n_real": samples.count,
        "n_generated": samples.count,
        "protocol": "distances of features, not of pixels, to the nearest of"
        f" {len(train)} training images; generated{samples.condition_note} against {split}"
        f" images; {found.cells} cells with at least {LEAST_IN_CELL} of each,"
        f" {found.covered:.0%} of the {split} images{note}; below 0 (share: above 0.5)"
        " generated images are the closer ones",
        **_identity(context.real.native_extractor),
        **samples.about,
    }

    def row(name: str, unit: str, value: Callable[[CopyingResult], float]) -> MetricResult:
        beyond = None if reference is None else value(reference)
        return MetricResult(name, value(found), unit, reference=beyond, **shared)

    return [
        row("memorisation", "deviations", lambda result: result.statistic),
        row("memorisation_closer", "share", lambda result: result.closer),
    ]


def _training_features(context: EvaluationContext) -> np.ndarray:
    """The training images' native features, float32 [T, F]."""
    count = min(MAX_TRAINING, len(context.dataset.train))
    return context.real.of_split("train", count, context.real.native_extractor)


def _copying_test(samples: GeneratedSamples) -> CopyingTest:
    context = samples.context

    def make() -> CopyingTest:
        native = context.real.native_extractor
        unseen = context.real.of_split(samples.split, samples.count, native)
        return CopyingTest(_training_features(context), unseen)

    return context.once(("copying_test", samples.split), make)


def _validation_reference(samples: GeneratedSamples) -> tuple[CopyingResult | None, str]:
    """The result for real images that are no training images, and a clause for the protocol."""
    context = samples.context
    held_out = min(samples.count, len(context.dataset.validation))
    if samples.split == "validation" or held_out < MIN_IMAGES:
        return None, ""

    def find() -> CopyingResult:
        native = context.real.native_extractor
        return _copying_test(samples).of(context.real.of_split("validation", held_out, native))

    return context.once(
        ("copying_reference", samples.split), find
    ), f"; reference: {held_out} validation images"


def nearest_training_images(samples: GeneratedSamples) -> tuple[np.ndarray, np.ndarray]:
    """Some generated images, evenly over the labels, and the training images nearest to each.

    Returns:
      Generated images, uint8 [R, H, W, C], and of each its nearest training images, nearest first,
      uint8 [R, k, H, W, C].
    """
    generated = samples.subset
    rows = even_indices(len(generated), min(_ROWS, len(generated)))
    train = _training_features(samples.context)
    nearest = nearest_training(train, samples.native_features[rows], min(_NEAREST, len(train)))
    indices = nearest.places.reshape(-1)
    images = samples.context.dataset.train.take(indices).first(len(indices)).images
    return generated[rows], images.reshape(*nearest.places.shape, *generated.shape[1:])


def _identity(extractor: Extractor) -> dict[str, Any]:
    return {"extractor": extractor.name, "extractor_hash": extractor.digest}
