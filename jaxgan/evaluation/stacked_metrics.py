"""Rows that count the modes of stacked digits that a generator draws."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.extractors.classifier import reference_classifier
from jaxgan.metrics.images import stacked_modes

# Images in memory at once.
_BLOCK = 2_000


def modes_of_stacked_digits(
    samples: GeneratedSamples, count: int = stacked_modes.SAMPLES
) -> list[MetricResult]:
    """Modes hit, and KL(generated || data); the references are those of as many real test images.

    Returns [] if only some of the modes are trained on, and for a conditional generator, whose
    modes are those of its conditions.

    Args:
      samples: the networks to measure.
      count: number of images to generate: the protocol's number, not the context's limit.
    """
    context, gan = samples.context, samples.gan
    dataset, single = context.dataset, context.dataset.stacked
    assert single is not None
    if dataset.unfiltered is not None or gan.condition is not None:
        return []
    assert single.train.labels is not None
    classifier = reference_classifier(single, context.log)
    classes = len(single.label_names)
    key = stream(jax.random.key(samples.about["seed"]), "evaluate/stacked")
    latent = gan.latent.sample(key, count)

    def modes(images_of: Callable[[slice], np.ndarray], n: int) -> np.ndarray:
        parts = [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]
        predict = classifier.predict
        read = [stacked_modes.modes_read(images_of(part), predict, classes) for part in parts]
        return np.concatenate(read)

    def generated(part: slice) -> np.ndarray:
        block = jax.tree.map(lambda x: x[part], latent)
        block_key = stream(key, "block", part.start)
        return context.functions.sample_images(samples.networks.generator, block, block_key)

    real_name, real = dataset.split("test")
    n_real = min(count, len(real))
    drawn = modes(generated, count)
    expected = modes(lambda part: real.images[part.start : min(part.stop, n_real)], n_real)
    shares = stacked_modes.mode_shares(single.train.labels, classes)
    protocol = (
        f"each channel read by the classifier of {single.name}; of {classes**3} modes; reference:"
        f" {n_real} real {real_name} images"
    )

    def row(name: str, unit: str, value: Callable[[np.ndarray], Any], how: str) -> MetricResult:
        counts = {"n_real": n_real, "n_generated": count, "reference": value(expected)}
        value_drawn = float(value(drawn))
        return samples.row(name, value_drawn, unit, "generated", how, classifier, **counts)

    return [
        row("stacked_modes", "modes", stacked_modes.modes_hit, protocol),
        row(
            "stacked_kl",
            "nats",
            lambda found: stacked_modes.kl_to_data(found, shares),
            f"{protocol}; KL(generated || training shares)",
        ),
    ]
