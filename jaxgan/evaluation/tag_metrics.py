"""Rows that compare the tags generated for images with the images' own."""

from typing import Any

import numpy as np

from jaxgan.data.tagging.types import Tagged, Tags
from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.tagging import SAMPLES, generated_tags
from jaxgan.metrics import tag_lists

_PROTOCOL = (
    f"the 10 words named most often by {SAMPLES} samples for each image, each naming its"
    f" {tag_lists.NEAREST} nearest words by cosine, against the image's own tags"
)


def tags_of_images(samples: GeneratedSamples) -> list[MetricResult]:
    """Precision and recall of generated tags, on at most `limit` images."""
    tags, images = _images(samples)
    lists = generated_tags(
        samples.context.functions,
        samples.networks.generator,
        tags.vocabulary,
        images.features,
        samples.about["seed"],
    )
    return _rows("", lists, _PROTOCOL, samples, n_generated=SAMPLES * len(images))


def tags_without_a_gan(samples: GeneratedSamples) -> list[MetricResult]:
    """Precision and recall of three baselines: lists of words that need no GAN."""
    baselines = samples.context.once(
        ("tag_baselines", samples.split), lambda: _baselines(*_images(samples))
    )
    return [row for baseline in baselines for row in _rows(*baseline, samples)]


def _images(samples: GeneratedSamples) -> tuple[Tags, Tagged]:
    """The dataset's tags, and at most `limit` tagged images of the requested split."""
    tags = samples.context.dataset.tags
    assert tags is not None
    return tags, tags.split(samples.requested_split)[1].first(samples.context.limit)


def _baselines(tags: Tags, images: Tagged) -> list[tuple[str, np.ndarray, str]]:
    """For each baseline the ending of its rows' names, its lists, and its protocol."""
    words = len(tags.vocabulary.words)
    near, k = tag_lists.best_neighbours(tags, images.features)
    linear, weight = tag_lists.best_linear(tags, images.features)
    return [
        (
            "_constant",
            tag_lists.constant_lists(tags.train, words, len(images)),
            "the 10 commonest words of the training images",
        ),
        (
            "_neighbours",
            near,
            f"the 10 commonest words of the {k} training images with the nearest features, k"
            " chosen on the validation images",
        ),
        (
            "_linear",
            linear,
            f"the 10 words nearest to a linear map of the features (ridge, {weight:g}, chosen"
            " on the validation images)",
        ),
    ]


def _rows(
    suffix: str, lists: np.ndarray, protocol: str, samples: GeneratedSamples, **counts: Any
) -> list[MetricResult]:
    tags, images = _images(samples)
    split = tags.split(samples.requested_split)[0]
    values = tag_lists.precision_recall(lists, images.tags)
    names, counts = ("tag_precision", "tag_recall"), {"n_real": len(images), **counts}
    return [
        samples.row(f"{name}{suffix}", value, "share", split, protocol, **counts)
        for name, value in zip(names, values, strict=True)
    ]
