"""What a linear classifier makes of a discriminator's features."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset, Split
from jaxgan.evaluation.results import Measure
from jaxgan.inference.feature_maps import Reader
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.images.linear_probe import fit_svm
from jaxgan.models.variables import Networks
from jaxgan.training.gan import Gan
from jaxgan.training.state import initialise, networks

# Training images, and of each class where labels are few; the seed that draws them, the same for
# all runs.
SVM_IMAGES, EACH, SEED = 2_000, 100, 0


class _Reading(NamedTuple):
    """A classifier's accuracy: "" or the name of the few labels, the share, the images that it
    was fitted and judged on, its C."""

    variant: str
    accuracy: float
    fitted: int
    judged: int
    c: float


class FeatureMeasures:
    """Reads labels off a discriminator's features, off an untrained one's, and off raw pixels.

    Args:
      instruments: of this run.
      dataset: the run's.
      limit: at most so many test images.
      images: training images that a classifier is fitted on.
    """

    def __init__(
        self, instruments: NetworkFunctions, dataset: Dataset, limit: int, images: int = SVM_IMAGES
    ) -> None:
        self.instruments, self.dataset, self._images = instruments, dataset, images
        self._judged, unseen = dataset.split("test")
        self._test = unseen.first(limit)
        self._read = Reader(instruments.gan)
        self._untrained = functools.cache(
            lambda seed: self._readings(_untrained(instruments.gan, seed))
        )

    def svm(self, networks: Networks, about: dict[str, Any]) -> list[Measure]:
        """The share of test images that are classified rightly; [] where the discriminator is told
        the label or a part of the image, has no convolution, or there are no labels."""
        told = self.instruments.gan.condition is not None
        if told or len(self.dataset.classes) < 2 or self._test.labels is None:
            return []
        trained = self._readings(networks)
        if not trained:
            return []
        return [
            Measure(
                f"svm_accuracy{one.variant}{ending}",
                one.accuracy,
                "share",
                self._judged,
                n_real=one.judged,
                extractor=extractor,
                protocol=f"L2-SVM on {one.fitted} training images (seed {SEED}), C {one.c:g} chosen"
                " on a fifth of them; features standardised; convolutions max-pooled to 4x4,"
                f" BatchNorm's statistics re-estimated on {len(self._sets[''])} training images",
                **about,
            )
            for ending, extractor, readings in (
                ("", "discriminator", trained),
                ("_untrained", "untrained discriminator", self._untrained(about["seed"])),
                ("_pixels", "pixels", self._of_pixels),
            )
            for one in readings
        ]

    @functools.cached_property
    def _sets(self) -> dict[str, Split]:
        """Training images in random order, and as many of each class where there are enough."""
        labels = self.dataset.train.labels
        assert labels is not None
        draw = np.random.default_rng(SEED)
        order = draw.permutation(len(labels))
        sets = {"": order[: self._images]}
        of_each = [order[labels[order] == label][:EACH] for label in self.dataset.classes]
        if min(map(len, of_each)) == EACH:
            few = draw.permutation(np.concatenate(of_each))
            sets[f"_{len(few)}_labels"] = few
        train = self.dataset.train
        return {name: train.take(places).first(len(places)) for name, places in sets.items()}

    @functools.cached_property
    def _of_pixels(self) -> list[_Reading]:
        return self._readings(None)

    def _readings(self, networks: Networks | None) -> list[_Reading]:
        """On a discriminator's features, or on pixels without one; [] without convolutions."""
        features: Any = _pixels
        if networks is not None:
            still = self.instruments.recalibrate_discriminator(
                networks.discriminator, self._sets[""].images
            )
            features = functools.partial(self._read, still)
        if not features(self._sets[""].images[:1]).shape[1]:
            return []
        fitted, right = {}, {}
        for variant, one in self._sets.items():
            assert one.labels is not None
            fitted[variant], right[variant] = fit_svm(features(one.images), one.labels), 0
        images, labels = self._test.images, self._test.labels
        assert labels is not None
        for start in range(0, len(images), 1_000):  # Features of all would take half a GiB.
            here = slice(start, start + 1_000)
            read = features(images[here])
            for variant, svm in fitted.items():
                right[variant] += int(np.sum(svm.predict(read) == labels[here]))
        return [
            _Reading(name, right[name] / len(images), len(self._sets[name]), len(images), svm.c)
            for name, svm in fitted.items()
        ]


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)


def _untrained(gan: Gan, seed: int) -> Networks:
    key = stream(jax.random.key(seed), "evaluate/untrained")
    return networks(jax.jit(lambda: initialise(gan, key))())
