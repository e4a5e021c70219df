"""Rows of metrics that need generated images and no more than one extractor or classifier."""

import numpy as np

from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images import conditional_accuracy as conditional
from jaxgan.metrics.images import frechet, parzen
from jaxgan.models.conditions import Label

# The protocol's number of validation images that choose sigma.
_SIGMA_IMAGES = 1_000


def frechet_distance(samples: GeneratedSamples) -> list[MetricResult]:
    """On the reference classifier's features, or on thumbnails where there are no labels; the
    reference is the distance of as many training images."""
    real, name, count = samples.context.real, samples.split, samples.count
    features = real.of_split(name, count)
    seen = min(count, len(real.dataset.train))
    reference, note = None, ""
    if name != "train":  # Training images against themselves would be a perfect 0.
        note = f"; reference: {seen} training images against the same"
        reference = samples.context.once(
            ("frechet_distance", name),
            lambda: frechet.frechet_distance(features, real.of_split("train", seen)),
        )
    return [
        MetricResult(
            "frechet_distance",
            frechet.frechet_distance(features, samples.features),
            "feature units squared",
            name,
            n_real=count,
            n_generated=count,
            reference=reference,
            extractor=real.extractor.name,
            extractor_hash=real.extractor.digest,
            protocol=f"features of as many generated as {name} images{samples.condition_note}"
            f"{note}",
            **samples.about,
        )
    ]


def parzen_log_likelihood(samples: GeneratedSamples) -> list[MetricResult]:
    """The Parzen-window estimate of the real images' log-likelihood."""
    chosen_on, validation = samples.context.real.split("validation")
    windows = samples.images / np.float32(255)
    for_sigma = validation.first(_SIGMA_IMAGES).images / np.float32(255)
    sigma = parzen.choose_sigma(windows, for_sigma)
    points = samples.real.first(samples.context.limit).images / np.float32(255)
    values = parzen.parzen_log_likelihood(windows, points, sigma)
    mean, error = parzen.mean_and_error(values)
    note = samples.condition_note
    return [
        MetricResult(
            "parzen_log_likelihood",
            mean,
            "nats",
            samples.split,
            n_real=len(points),
            n_generated=len(windows),
            protocol=f"standard error {error:.2f}; sigma {sigma:.3f}, the best of logspace(-1, 0,"
            f" 10) on {min(_SIGMA_IMAGES, len(validation))} {chosen_on} images; pixels in [0, 1]"
            + (f"; of generated images{note}" if note else ""),
            **samples.about,
        )
    ]


def conditional_accuracy(samples: GeneratedSamples) -> list[MetricResult]:
    """How often the classifier reads the label that the generator was conditioned on."""
    condition, classifier = samples.gan.condition, samples.context.real.classifier
    if classifier is None or not isinstance(condition, Label):
        return []
    read = classifier.predict(samples.images)
    shares = conditional.per_class(samples.labels, read, condition.classes)
    names = samples.context.dataset.label_names
    by_label = ", ".join(f"{names[i]} {shares[i]:.4f}" for i in condition.members)
    return [
        MetricResult(
            "conditional_accuracy",
            conditional.conditional_accuracy(samples.labels, read),
            "share",
            "generated",
            n_generated=len(samples.images),
            reference=classifier.accuracy,
            extractor=classifier.name,
            extractor_hash=classifier.digest,
            protocol="as many images of each label; reference: the classifier's accuracy on real"
            f" {classifier.judged} images; each label: {by_label}",
            **samples.about,
        )
    ]


def confusion_table(samples: GeneratedSamples) -> str:
    """Which label is read where which was the condition, as text; "" without a classifier."""
    classifier = samples.context.real.classifier
    if classifier is None:
        return ""
    names = samples.context.dataset.label_names
    counts = conditional.confusion(samples.labels, classifier.predict(samples.images), len(names))
    return conditional.confusion_table(counts, names)


def modes_found(samples: GeneratedSamples) -> list[MetricResult]:
    """How many modes of a mixture of Gaussians are drawn, of points whose dataset knows them."""
    from jaxgan.data.sources import ring

    modes = samples.context.dataset.modes
    assert modes is not None
    points = samples.context.functions.sample(samples.networks.generator, samples.latent(1_000))
    return [
        MetricResult(
            "modes_found",
            float(ring.modes_found(points, modes)),
            "modes",
            "generated",
            n_generated=1_000,
            reference=float(len(modes.centres)),
            protocol="a mode is found by 20 samples in 1,000 within three deviations of its centre",
            **samples.about,
        )
    ]
