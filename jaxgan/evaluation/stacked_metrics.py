"""Which modes of stacked digits a generator draws."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset
from jaxgan.data.pixels import to_uint8
from jaxgan.evaluation.results import Measure
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.extractors.classifier import reference_classifier
from jaxgan.metrics.images.stacked_modes import (
    SAMPLES,
    kl_to_data,
    mode_shares,
    modes_hit,
    modes_read,
)
from jaxgan.models.variables import Networks

# Images in memory at once.
_BLOCK = 2_000


def stacked_measures(
    instruments: NetworkFunctions,
    networks: Networks,
    dataset: Dataset,
    about: dict[str, Any],
    say: Callable[[str], None] = print,
    samples: int = SAMPLES,
) -> list[Measure]:
    """Modes hit, and KL(generated || data); beside them the same of as many real test images.

    [] for a dataset of no stacked digits, for some of its modes only, and for a generator that is
    told something: its modes are those that it was asked for.

    Args:
      say: told when the reference classifier of the single digits has to be trained first.
      samples: the protocol's, whatever `results_images` says.
    """
    single, gan = dataset.stacked, instruments.gan
    if single is None or dataset.unfiltered is not None or gan.condition is not None:
        return []
    assert single.train.labels is not None
    classifier = reference_classifier(single, say)
    classes = len(single.label_names)
    key = stream(jax.random.key(about["seed"]), "evaluate/stacked")
    latent = gan.latent.sample(key, samples)

    def modes(images_of: Callable[[slice], np.ndarray], count: int) -> np.ndarray:
        parts = [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
        read = [modes_read(images_of(part), classifier.predict, classes) for part in parts]
        return np.concatenate(read)

    def generated(part: slice) -> np.ndarray:
        some = jax.tree.map(lambda x: x[part], latent)
        return to_uint8(
            instruments.sample(networks.generator, some, stream(key, "block", part.start)), gan.low
        )

    judged, real = dataset.split("test")
    n_real = min(samples, len(real))
    drawn = modes(generated, samples)
    there = modes(lambda part: real.images[part.start : min(part.stop, n_real)], n_real)
    shares = mode_shares(single.train.labels, classes)
    told: dict[str, Any] = {
        "split": "generated",
        "n_real": n_real,
        "n_generated": samples,
        "extractor": classifier.name,
        "extractor_hash": classifier.digest,
        "protocol": f"each channel read by the classifier of {single.name}; of {classes**3} modes;"
        f" beside it {n_real} real {judged} images",
        **about,
    }
    return [
        Measure(
            "stacked_modes", float(modes_hit(drawn)), "modes", reference=modes_hit(there), **told
        ),
        Measure(
            "stacked_kl",
            kl_to_data(drawn, shares),
            "nats",
            reference=kl_to_data(there, shares),
            **told | {"protocol": told["protocol"] + "; KL(generated || training shares)"},
        ),
    ]
