"""Rows of metrics that need generated images and at most one extractor or classifier."""

import math
from typing import Any

import numpy as np

from jaxgan.evaluation.context import GeneratedSamples, even_indices
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images import conditional_accuracy as conditional
from jaxgan.metrics.images import frechet, parzen
from jaxgan.metrics.images.pairwise_distance import pairwise_distance as distance_of_pairs
from jaxgan.models.conditions import Label

# The largest number of validation images that choose sigma, as the protocol has it.
_SIGMA_IMAGES = 1_000
# The largest number of images that are paired. Distances between digits deviate from their mean by
# a fifth of it, so that the mean over 2,000 pairs is known to half a percent.
_PAIRED_IMAGES = 2_000


def frechet_distance(samples: GeneratedSamples) -> list[MetricResult]:
    """The distance between features of generated and real images. The reference is the distance
    between as many training images and the same real images."""
    real, split, count = samples.context.real, samples.split, samples.count
    features = real.of_split(split, count)
    reference, note = None, ""
    if split != "train":  # Training images against themselves would give a perfect 0.
        seen = min(count, len(real.dataset.train))
        note = f"; reference: {seen} training images against the same"
        reference = samples.context.once(
            ("frechet_distance", split),
            lambda: frechet.frechet_distance(features, real.of_split("train", seen)),
        )
    return [
        samples.row(
            "frechet_distance",
            frechet.frechet_distance(features, samples.features),
            "feature units squared",
            split,
            f"features of equal numbers of generated and {split} images"
            f"{samples.condition_note}{note}",
            real.extractor,
            n_real=count,
            n_generated=count,
            reference=reference,
        )
    ]


def parzen_log_likelihood(samples: GeneratedSamples) -> list[MetricResult]:
    """The Parzen-window estimate of the real images' log-likelihood."""
    sigma_split, validation = samples.context.real.split("validation")
    sigma = parzen.choose_sigma(samples.images, validation.first(_SIGMA_IMAGES).images)
    points = samples.real.first(samples.context.limit).images
    values = parzen.parzen_log_likelihood(samples.images, points, sigma)
    mean, error = parzen.mean_and_error(values)
    note = samples.condition_note
    protocol = (
        f"standard error {error:.2f}; sigma {sigma:.3f}, the best of logspace(-1, 0, 10) on"
        f" {min(_SIGMA_IMAGES, len(validation))} {sigma_split} images; pixels in [0, 1]"
    ) + (f"; of generated images{note}" if note else "")
    counts: dict[str, Any] = {"n_real": len(points), "n_generated": len(samples.images)}
    return [samples.row("parzen_log_likelihood", mean, "nats", samples.split, protocol, **counts)]


def pairwise_distance(samples: GeneratedSamples) -> list[MetricResult]:
    """How far apart two generated images are, of the same label if the networks are conditioned on
    one; the reference is the same of real images."""
    labelled = isinstance(samples.gan.condition, Label)
    count = min(_PAIRED_IMAGES, samples.context.limit)
    images, labels = _images_to_pair(samples, count)
    value = distance_of_pairs(images, labels)
    if math.isnan(value):  # Fewer than two images of each label.
        return []
    real = samples.real.first(count)
    reference = samples.context.once(
        ("pairwise_distance", samples.split),
        lambda: distance_of_pairs(real.images, real.labels if labelled else None),
    )
    pairs = "random pairs of images" + " of the same label" * labelled
    protocol = (
        f"{pairs}{samples.condition_note}; root mean square over the pixels; reference:"
        f" {len(real)} {samples.split} images"
    )
    fields: dict[str, Any] = {"n_real": len(real), "n_generated": len(images)}
    fields["reference"] = None if math.isnan(reference) else reference
    name, unit = "pairwise_distance", "pixel range"
    return [samples.row(name, value, unit, "generated", protocol, **fields)]


def _images_to_pair(samples: GeneratedSamples, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """`count` generated images, and their labels if the networks are conditioned on one."""
    if samples.gan.q is not None:
        # No metric at the end of training of a run with codes draws `samples.images`, five times as
        # many.
        return samples.draw(count), None
    chosen = even_indices(len(samples.images), count)
    labelled = isinstance(samples.gan.condition, Label)
    return samples.images[chosen], samples.labels[chosen] if labelled else None


def conditional_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """How often the classifier predicts the label that the generator was conditioned on."""
    condition, classifier = samples.gan.condition, samples.context.real.classifier
    if classifier is None or not isinstance(condition, Label):
        return []
    predicted = samples.predicted_labels
    shares = conditional.per_class(samples.labels, predicted, condition.classes)
    names = samples.context.dataset.label_names
    by_label = ", ".join(f"{names[i]} {shares[i]:.4f}" for i in condition.members)
    return [
        samples.row(
            "conditional_accuracy",
            conditional.conditional_accuracy(samples.labels, predicted),
            "share",
            "generated",
            "as many images of each label; reference: the classifier's accuracy on real"
            f" {classifier.judged} images; each label: {by_label}",
            classifier,
            n_generated=len(samples.images),
            reference=classifier.accuracy,
        )
    ]


def confusion_table(samples: GeneratedSamples) -> str:
    """How often the classifier predicts each label for each label of the condition, as text; ""
    without a classifier."""
    if samples.context.real.classifier is None:
        return ""
    names = samples.context.dataset.label_names
    counts = conditional.confusion(samples.labels, samples.predicted_labels, len(names))
    return conditional.confusion_table(counts, names)


def modes_found(samples: GeneratedSamples) -> list[MetricResult]:
    """How many of a dataset's known Gaussian modes the generated points cover."""
    from jaxgan.data.sources import ring

    modes = samples.context.dataset.modes
    assert modes is not None
    points = samples.context.functions.sample(samples.networks.generator, samples.latent(1_000))
    return [
        samples.row(
            "modes_found",
            float(ring.modes_found(points, modes)),
            "modes",
            "generated",
            "a mode is found by 20 samples in 1,000 within three deviations of its centre",
            n_generated=1_000,
            reference=float(len(modes.centres)),
        )
    ]
