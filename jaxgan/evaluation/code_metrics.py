"""Rows of metrics of an InfoGAN's codes: what Q predicts for real and for generated images."""

from typing import Any

import numpy as np

from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.losses.information import code_loss
from jaxgan.metrics.codes import clustering, information
from jaxgan.metrics.codes import code_accuracy as accuracy_lib
from jaxgan.metrics.codes.r_squared import r_squared
from jaxgan.models.infogan import CategoricalParameters, GaussianParameters, PointParameters

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

    The information needs no labels and is measured on the validation split. Accuracy, NMI and ARI
    need labels: codes are matched to classes on the training split, and the matching is applied to
    the test split. If a split is empty, the one before it is used and named.
    """
    from scipy.special import softmax

    train, unseen, test = samples.real_codes
    protocol = _REAL_PROTOCOL.format(n=train.size)
    rows = []
    for i, code in enumerate(samples.gan.latent.codes):
        if not code.categorical:
            continue
        probabilities = softmax(unseen.logits(i), axis=-1)
        rows.append(
            samples.row(
                "code_information",
                information.information_read(probabilities),
                "nats",
                unseen.name,
                protocol,
                n_real=unseen.size,
                code=i,
                reference=code.entropy,
            )
        )
        labels, test_labels = train.labels, test.labels
        if labels is None or test_labels is None:
            continue
        codes, test_codes = (one.logits(i).argmax(-1) for one in (train, test))
        measured = compare_with_labels(codes, labels, test_codes, test_labels, code.values)
        n_real = len(test_labels)
        rows += [
            samples.row(name, value, unit, test.name, protocol + how, n_real=n_real, code=i)
            for name, value, unit, how in measured
        ]
    return rows


def compare_with_labels(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    codes: np.ndarray,
    labels: np.ndarray,
    values: int,
) -> list[tuple[str, float, str, str]]:
    """Name, value, unit and the end of the protocol of each metric of one code and the labels.

    Args:
      train_codes, train_labels: the likeliest code value and the label of training images, int [N].
      codes, labels: the same of test images.
      values: number of values that the code can take.
    """
    classes = int(max(train_labels.max(), labels.max())) + 1
    counts = accuracy_lib.contingency(train_codes, train_labels, values, classes)
    one, many = accuracy_lib.match_one_to_one(counts), accuracy_lib.match_many_to_one(counts)
    one_to_one, many_to_one = (accuracy_lib.code_accuracy(x, codes, labels) for x in (one, many))
    fitted = "; matching fitted on them"
    return [
        ("code_accuracy", one_to_one, "share", f"{fitted} (Hungarian)"),
        ("code_accuracy_many_to_one", many_to_one, "share", f"{fitted} (commonest class)"),
        ("nmi", clustering.normalized_mutual_information(codes, labels), "1", ""),
        ("ari", clustering.adjusted_rand_index(codes, labels), "1", ""),
    ]


def codes_of_generated_images(samples: GeneratedSamples) -> list[MetricResult]:
    """What Q predicts for generated images: the information bound of each code that Q gives a
    distribution, with the code's entropy as the reference, and R^2 of each continuous code."""
    latent = samples.latent(samples.context.limit)
    images = samples.context.functions.sample(samples.networks.generator, latent)
    predicted = samples.code_predictor(images)(images)
    codes, rows = samples.gan.latent.codes, []
    for i, (code, parameters, value) in enumerate(zip(codes, predicted, latent.codes, strict=True)):
        about: dict[str, Any] = {"protocol": _GENERATED_PROTOCOL, "code": i}
        about |= {"split": "generated", "n_generated": samples.context.limit}
        learned = isinstance(parameters, GaussianParameters) and samples.gan.learned_deviation
        if isinstance(parameters, CategoricalParameters) or learned:
            losses = np.asarray(code_loss(parameters, value))
            bound = information.information_bound(code.entropy, losses)
            rows.append(
                samples.row("information_bound", bound, "nats", reference=code.entropy, **about)
            )
        if isinstance(parameters, (GaussianParameters, PointParameters)):
            r2 = r_squared(np.asarray(parameters.mean)[:, 0], np.asarray(value)[:, 0])
            rows.append(samples.row("code_r2", r2, "1", reference=1.0, **about))
    return rows
