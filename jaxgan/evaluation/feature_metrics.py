"""Rows of metrics that compare the features of generated and of real images.

The reference of a row is the same metric with the generated images replaced by an equal number of
training images: the value of a perfect generator. Without held-out images there is no reference.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.evaluation.context import EvaluationContext, GeneratedSamples, even_indices
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images import class_score as class_score_lib
from jaxgan.metrics.images import kernel_distance as kernel_lib
from jaxgan.metrics.images import nearest_neighbour, precision_recall
from jaxgan.metrics.images.memorisation import (
    MIN_IMAGES_PER_CELL,
    CopyingResult,
    CopyingTest,
    nearest_training,
)

# With fewer images these metrics are meaningless, and some are undefined.
MIN_IMAGES = 20
# Training images that are searched for the nearest one.
MAX_TRAINING = 60_000
# How many generated images `nearest_training_images` shows, and training images for each.
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
    return _compare(
        samples,
        precision_recall.precision_recall,
        names,
        "balls that reach to the 3rd nearest neighbour",
    )


def density_and_coverage(samples: GeneratedSamples) -> list[MetricResult]:
    """Counterparts of precision and recall that are less sensitive to outliers."""
    names = {"density": ("density", "1"), "coverage": ("coverage", "share")}
    return _compare(
        samples,
        precision_recall.density_coverage,
        names,
        "balls that reach to the 5th nearest neighbour",
    )


def two_sample_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """The leave-one-out accuracy of a 1-NN classifier of generated and real images."""
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
      samples: generated images, and the real ones to compare with.
      metric: from the features of real and of generated images to a tuple of values.
      names: for each row's name the field of the metric's result, and the unit.
      protocol: a format string for the metric's result.
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
    protocol = (
        f"features of equal numbers of generated and {split} images{samples.condition_note};"
        f" {protocol.format(found)}{note}"
    )
    return [
        samples.row(
            name,
            float(getattr(found, field)),
            unit,
            split,
            protocol,
            real.extractor,
            n_real=count,
            n_generated=count,
            reference=None if reference is None else float(getattr(reference, field)),
        )
        for name, (field, unit) in names.items()
    ]


# --- Classes


def class_score(samples: GeneratedSamples) -> list[MetricResult]:
    """The inception score with the dataset's reference classifier; the reference is the score of
    real images."""
    classifier, count = samples.context.real.classifier, samples.count
    if classifier is None or count < MIN_IMAGES:
        return []
    found = class_score_lib.class_score(classifier.probabilities(samples.subset))
    unseen = samples.real.first(count).images
    reference = samples.context.once(
        ("class_score", samples.split),
        lambda: class_score_lib.class_score(classifier.probabilities(unseen)).value,
    )
    protocol = (
        f"deviation {found.deviation:.2g} over {found.splits} splits of {found.split_size};"
        f" reference: as many {samples.split} images"
    )
    counts = {"n_real": count, "n_generated": count, "reference": reference}
    value = found.value
    return [
        samples.row("class_score", value, "classes", "generated", protocol, classifier, **counts)
    ]


def nearest_neighbour_error(samples: GeneratedSamples) -> list[MetricResult]:
    """The test error of 1-NN fitted on generated images and their labels; the reference is the
    error of 1-NN fitted on real training images."""
    unseen = samples.real.first(samples.count)
    if unseen.labels is None or samples.split == "train":
        return []
    test = unseen.images, unseen.labels
    train = samples.context.dataset.train
    train = train.first(min(samples.context.limit, len(train)))
    assert train.labels is not None
    real = train.images, train.labels
    return [
        samples.row(
            "nearest_neighbour_error",
            nearest_neighbour.nearest_neighbour_error(samples.images, samples.labels, *test),
            "share",
            samples.split,
            "pixels; fitted on generated images, the same number of each label; reference: fitted"
            f" on {len(train)} training images",
            n_real=samples.count,
            n_generated=len(samples.images),
            reference=samples.context.once(
                ("nearest_neighbour_error", samples.split),
                lambda: nearest_neighbour.nearest_neighbour_error(*real, *test),
            ),
        )
    ]


# --- Nearest training images


def memorisation(samples: GeneratedSamples) -> list[MetricResult]:
    """The statistic C_T, and how often a generated image is closer to its nearest training image
    than a real one is. Always uses the dataset's own extractor, because any other would have to be
    run on the whole training split."""
    context, split, count = samples.context, samples.split, samples.count
    train = _training_features(context)
    if split == "train" or min(count, len(train)) < MIN_IMAGES:
        return []
    native = context.real.native_extractor
    test = context.once(
        ("copying_test", split),
        lambda: CopyingTest(train, context.real.of_split(split, count, native)),
    )
    found, reference, note = test.of(samples.native_features), None, ""
    held_out = min(count, len(context.dataset.validation))
    if split != "validation" and held_out >= MIN_IMAGES:
        note = f"; reference: {held_out} validation images"
        reference = context.once(
            ("copying_reference", split),
            lambda: test.of(context.real.of_split("validation", held_out, native)),
        )
    protocol = (
        f"distances of features, not of pixels, to the nearest of {len(train)} training images;"
        f" generated{samples.condition_note} against {split} images; {found.cells} cells with at"
        f" least {MIN_IMAGES_PER_CELL} of each, {found.covered:.0%} of the {split} images{note}; a"
        " statistic below 0, or a share above 0.5, means that generated images are closer to"
        " training images than real ones are"
    )

    def row(name: str, unit: str, value: Callable[[CopyingResult], float]) -> MetricResult:
        fields: dict[str, Any] = {"n_real": count, "n_generated": count}
        fields["reference"] = None if reference is None else value(reference)
        return samples.row(name, value(found), unit, split, protocol, native, **fields)

    return [
        row("memorisation", "deviations", lambda result: result.statistic),
        row("memorisation_closer", "share", lambda result: result.closer),
    ]


def _training_features(context: EvaluationContext) -> np.ndarray:
    """The training images' native features, float32 [T, F]."""
    count = min(MAX_TRAINING, len(context.dataset.train))
    return context.real.of_split("train", count, context.real.native_extractor)


def nearest_training_images(samples: GeneratedSamples) -> tuple[np.ndarray, np.ndarray]:
    """Some generated images, evenly over the labels, and the training images nearest to each.

    Returns:
      Generated images, uint8 [R, H, W, C], and the training images nearest to each of them, nearest
      first, uint8 [R, k, H, W, C].
    """
    generated = samples.subset
    rows = even_indices(len(generated), min(_ROWS, len(generated)))
    train = _training_features(samples.context)
    nearest = nearest_training(train, samples.native_features[rows], min(_NEAREST, len(train)))
    indices = nearest.places.reshape(-1)
    images = samples.context.dataset.train.take(indices).first(len(indices)).images
    return generated[rows], images.reshape(*nearest.places.shape, *generated.shape[1:])
