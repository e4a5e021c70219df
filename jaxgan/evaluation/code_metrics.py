"""What Q reads off real and off generated images: the measures of an InfoGAN's codes."""

from typing import Any

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation.results import Measure
from jaxgan.inference.networks import NetworkFunctions
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
from jaxgan.models.variables import Networks

REAL_PROTOCOL = (
    "Q's most likely code of real images; BatchNorm's statistics of D and Q re-estimated on {n}"
    " training images"
)
GENERATED_PROTOCOL = (
    "fresh latents, G with its moving statistics; BatchNorm's statistics of D and Q re-estimated"
    " on the same images"
)


def real_measures(
    instruments: NetworkFunctions,
    networks: Networks,
    dataset: Dataset,
    about: dict[str, Any],
    limit: int,
) -> list[Measure]:
    """What Q reads off real images.

    The information read off the validation split wants no label; accuracy, NMI and ARI are there
    for datasets with labels, the matching fitted on the training split and applied to the test
    split. Where the source has no such split, the one before it stands in and is named.
    """
    assert networks.q is not None
    codes = instruments.gan.latent.codes
    every = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    splits = {name: split.first(limit) for name, split in every.items() if len(split)}
    train = splits["train"]
    unseen, judged = dataset.split("validation")[0], dataset.split("test")[0]
    test = splits[judged]
    still = instruments.recalibrate_batch_norm(networks.discriminator, networks.q, train.images)
    read = {name: instruments.predict_codes(*still, split.images) for name, split in splits.items()}
    protocol = REAL_PROTOCOL.format(n=len(train))
    measures = []
    for i, code in enumerate(codes):
        if not code.categorical:
            continue
        logits = {name: _logits(parameters[i]) for name, parameters in read.items()}
        measures.append(
            Measure(
                "code_information",
                information.information_read(_softmax(logits[unseen])),
                "nats",
                unseen,
                n_real=len(splits[unseen]),
                code=i,
                reference=code.entropy,
                protocol=protocol,
                **about,
            )
        )
        if train.labels is None or test.labels is None:
            continue
        classes = int(max(train.labels.max(), test.labels.max())) + 1
        on_train, on_test = logits["train"].argmax(-1), logits[judged].argmax(-1)
        counts = contingency(on_train, train.labels, code.values, classes)
        one, many = match_one_to_one(counts), match_many_to_one(counts)
        fitted = f"{protocol}; matching fitted on them"
        for name, value, how in (
            ("code_accuracy", code_accuracy(one, on_test, test.labels), fitted + " (Hungarian)"),
            (
                "code_accuracy_many_to_one",
                code_accuracy(many, on_test, test.labels),
                fitted + " (commonest class)",
            ),
            ("nmi", clustering.normalized_mutual_information(on_test, test.labels), protocol),
            ("ari", clustering.adjusted_rand_index(on_test, test.labels), protocol),
        ):
            unit = "share" if name.startswith("code_accuracy") else "1"
            measures.append(
                Measure(name, value, unit, judged, n_real=len(test), code=i, protocol=how, **about)
            )
    return measures


def generated_measures(
    instruments: NetworkFunctions, networks: Networks, about: dict[str, Any], limit: int
) -> list[Measure]:
    """What Q reads off generated images: each code's information bound beside its entropy, and
    R^2 of the continuous ones."""
    assert networks.q is not None
    gan = instruments.gan
    key = stream(jax.random.key(about["seed"]), "evaluate/generated")
    latent = gan.latent.sample(key, limit)
    images = instruments.sample(networks.generator, latent)
    still = instruments.recalibrate_batch_norm(networks.discriminator, networks.q, images)
    parameters = instruments.predict_codes(*still, images)
    measures = []
    for i, (code, read, value) in enumerate(
        zip(gan.latent.codes, parameters, latent.codes, strict=True)
    ):
        shared = {
            "split": "generated",
            "n_generated": limit,
            "code": i,
            "protocol": GENERATED_PROTOCOL,
            **about,
        }
        learned = isinstance(read, GaussianParameters) and gan.learned_deviation
        if isinstance(read, CategoricalParameters) or learned:
            bound = information.information_bound(code.entropy, np.asarray(code_loss(read, value)))
            measures.append(
                Measure("information_bound", bound, "nats", reference=code.entropy, **shared)
            )
        if isinstance(read, (GaussianParameters, PointParameters)):
            r2 = r_squared(np.asarray(read.mean)[:, 0], np.asarray(value)[:, 0])
            measures.append(Measure("code_r2", r2, "1", reference=1.0, **shared))
    return measures


def _logits(parameters: CodeParameters) -> np.ndarray:
    assert isinstance(parameters, CategoricalParameters)
    return np.asarray(parameters.logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
