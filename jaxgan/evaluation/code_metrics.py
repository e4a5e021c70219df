"""Rows of metrics of an InfoGAN's codes: what Q predicts for real and for generated images."""

from typing import Any

import numpy as np

from jaxgan.data.dataset import Split
from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.losses.information import code_loss
from jaxgan.metrics.codes import clustering, information
from jaxgan.metrics.codes.code_accuracy import (
    code_accuracy,
    contingency,
    match_many_to_one,
    match_one_to_one,
)
from jaxgan.metrics.codes.r_squared import r_squared
from jaxgan.models.infogan import (
    CategoricalParameters,
    CodeParameters,
    GaussianParameters,
    PointParameters,
)

_REAL_PROTOCOL = (
    "Q's most likely code of real images; BatchNorm's statistics of D and Q re-estimated on {n}"
    " training images"
)
_GENERATED_PROTOCOL = (
    "fresh latents, G with its moving statistics; BatchNorm's statistics of D and Q re-estimated"
    " on the same images"
)


def codes_of_real_images(samples: GeneratedSamples) -> list[MetricResult]:
    """What Q predicts for real images, a few rows for each categorical code.

    The information, read on the validation split, needs no label; accuracy, NMI and ARI are there
    for datasets with labels, the matching fitted on the training split and applied to the test
    split. Where the source has no such split, the one before it is used and named.
    """
    context, networks = samples.context, samples.networks
    dataset = context.dataset
    every = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    splits = {name: split.first(context.limit) for name, split in every.items() if len(split)}
    train = splits["train"]
    assert networks.q is not None
    recalibrated = context.functions.recalibrate_batch_norm(
        networks.discriminator, networks.q, train.images
    )
    predicted = {
        name: context.functions.predict_codes(*recalibrated, split.images)
        for name, split in splits.items()
    }
    unseen, tested = dataset.split("validation")[0], dataset.split("test")[0]
    protocol = _REAL_PROTOCOL.format(n=len(train))
    rows = []
    for i, code in enumerate(context.gan.latent.codes):
        if not code.categorical:
            continue
        logits = {name: _logits(parameters[i]) for name, parameters in predicted.items()}
        rows.append(
            MetricResult(
                "code_information",
                information.information_read(_softmax(logits[unseen])),
                "nats",
                unseen,
                n_real=len(splits[unseen]),
                code=i,
                reference=code.entropy,
                protocol=protocol,
                **samples.about,
            )
        )
        if train.labels is not None and splits[tested].labels is not None:
            codes = logits["train"].argmax(-1), logits[tested].argmax(-1)
            shared = {"split": tested, "code": i, **samples.about}
            rows += _against_labels(*codes, code.values, train, splits[tested], protocol, shared)
    return rows


def _against_labels(
    on_train: np.ndarray,
    on_test: np.ndarray,
    values: int,
    train: Split,
    test: Split,
    protocol: str,
    shared: dict[str, Any],
) -> list[MetricResult]:
    """The rows that compare one code with the labels.

    Args:
      on_train, on_test: the most likely value of the code for each image, int [N].
      values: how many there are.
      train, test: the images with their labels.
      protocol: of the prediction.
      shared: fields of every row.
    """
    assert train.labels is not None
    assert test.labels is not None
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    counts = contingency(on_train, train.labels, values, classes)
    one, many = match_one_to_one(counts), match_many_to_one(counts)
    fitted = f"{protocol}; matching fitted on them"
    found = (
        ("code_accuracy", code_accuracy(one, on_test, test.labels), f"{fitted} (Hungarian)"),
        (
            "code_accuracy_many_to_one",
            code_accuracy(many, on_test, test.labels),
            f"{fitted} (commonest class)",
        ),
        ("nmi", clustering.normalized_mutual_information(on_test, test.labels), protocol),
        ("ari", clustering.adjusted_rand_index(on_test, test.labels), protocol),
    )
    return [
        MetricResult(
            name,
            value,
            "share" if name.startswith("code_accuracy") else "1",
            n_real=len(test),
            protocol=how,
            **shared,
        )
        for name, value, how in found
    ]


def codes_of_generated_images(samples: GeneratedSamples) -> list[MetricResult]:
    """What Q predicts for generated images: each code's information bound, with its entropy as the
    reference, and R^2 of the continuous ones."""
    context, gan, networks = samples.context, samples.gan, samples.networks
    latent = samples.latent(context.limit)
    images = context.functions.sample(networks.generator, latent)
    assert networks.q is not None
    recalibrated = context.functions.recalibrate_batch_norm(
        networks.discriminator, networks.q, images
    )
    predicted = context.functions.predict_codes(*recalibrated, images)
    rows = []
    for i, (code, parameters, value) in enumerate(
        zip(gan.latent.codes, predicted, latent.codes, strict=True)
    ):
        shared = {
            "split": "generated",
            "n_generated": context.limit,
            "code": i,
            "protocol": _GENERATED_PROTOCOL,
            **samples.about,
        }
        learned = isinstance(parameters, GaussianParameters) and gan.learned_deviation
        if isinstance(parameters, CategoricalParameters) or learned:
            losses = np.asarray(code_loss(parameters, value))
            bound = information.information_bound(code.entropy, losses)
            rows.append(
                MetricResult("information_bound", bound, "nats", reference=code.entropy, **shared)
            )
        if isinstance(parameters, (GaussianParameters, PointParameters)):
            r2 = r_squared(np.asarray(parameters.mean)[:, 0], np.asarray(value)[:, 0])
            rows.append(MetricResult("code_r2", r2, "1", reference=1.0, **shared))
    return rows


def _logits(parameters: CodeParameters) -> np.ndarray:
    assert isinstance(parameters, CategoricalParameters)
    return np.asarray(parameters.logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
