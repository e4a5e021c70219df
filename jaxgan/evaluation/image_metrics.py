"""Generated images held against real ones: the measures of every system without codes."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset, Modes, Split
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.evaluation.results import Measure
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.extractors.classifier import Classifier, reference_classifier
from jaxgan.metrics.extractors.thumbnails import thumbnails
from jaxgan.metrics.images import conditional_accuracy, parzen
from jaxgan.metrics.images.frechet import frechet_distance
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Networks

# The protocol's number of validation images that choose sigma.
FOR_SIGMA = 1_000
# Real images whose features are read at once.
_BLOCK = 2_000


class Extractor(NamedTuple):
    """What turns images into features: its name, the hash of its weights, and the function from
    uint8 [N, H, W, C] to float32 [N, F]."""

    name: str
    digest: str
    features: Callable[[np.ndarray], np.ndarray]


class ImageMeasures:
    """Compares what a generator draws with a dataset's unseen images.

    Args:
      instruments: of this run.
      dataset: the run's.
      say: told when the reference classifier has to be trained first.
      classify: whether it may be; a run that is told labels always may.
      extractor: of the distances; None is `own`.
    """

    def __init__(
        self,
        instruments: NetworkFunctions,
        dataset: Dataset,
        say: Callable[[str], None] = print,
        classify: bool = True,
        extractor: Extractor | None = None,
    ) -> None:
        self.instruments, self.dataset, self._say = instruments, dataset, say
        self._classify = classify or isinstance(instruments.gan.condition, Label)
        self._extractor = extractor
        self._real: dict[tuple[str, str, str], np.ndarray] = {}
        self._floors: dict[tuple[str, int], float] = {}

    @property
    def _told_labels(self) -> bool:
        return isinstance(self.instruments.gan.condition, Label)

    def split(self, name: str) -> tuple[str, Split]:
        """The dataset's, with the two images at least that a Fréchet distance wants."""
        return self.dataset.split(name, least=2)

    # --- Instruments made once

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """The reference classifier of the whole dataset; None where it has no labels, or where it
        is not wanted: of a thousand modes of stacked digits only to read labels back."""
        whole = self.dataset.whole
        if not self._classify or whole.train.labels is None or len(whole.label_names) < 2:
            return None
        if self.dataset.stacked is not None and not self._told_labels:
            return None
        return reference_classifier(whole, self._say)

    @functools.cached_property
    def own(self) -> Extractor:
        """What the dataset itself gives: the classifier's last hidden layer; of stacked digits that
        of each channel, by the classifier of the single ones; thumbnails where there is none, with
        the dataset's digest, for only figures of the same images compare."""
        if self.dataset.stacked is not None and self._classify:
            single = reference_classifier(self.dataset.stacked, self._say)
            name = f"{single.name} on each channel"
            return Extractor(name, single.digest, lambda images: _by_channel(single, images))
        if self.classifier is None:
            return Extractor("8x8 thumbnails", self._thumbnails_of, thumbnails)
        return Extractor(self.classifier.name, self.classifier.digest, self.classifier.features)

    @property
    def _thumbnails_of(self) -> str:
        """Of which images, in place of a network's hash: what was left out of training alone does
        not count, the chosen classes do."""
        whole, dataset = self.dataset.whole, self.dataset
        chosen = dataset.classes if dataset.classes != whole.classes else ()
        return "+".join([whole.digest(), *map(str, chosen)])

    @property
    def extractor(self) -> Extractor:
        """That of the distances."""
        return self.own if self._extractor is None else self._extractor

    def features(self, name: str, count: int, extractor: Extractor | None = None) -> np.ndarray:
        """Features of the first `count` images of a split, float32 [count, F]; read once.

        Args:
          extractor: None is that of the distances.
        """
        extractor = extractor or self.extractor
        key = (extractor.name, extractor.digest, name)
        if len(self._real.get(key, ())) < count:
            split: Split = getattr(self.dataset, name)
            # In blocks: images that are streamed do not all go into memory.
            starts = range(0, count, _BLOCK)
            blocks = (split.images[i : min(i + _BLOCK, count)] for i in starts)
            self._real[key] = np.concatenate([extractor.features(block) for block in blocks])
        return self._real[key][:count]

    # --- What is drawn

    @property
    def kept(self) -> str:
        """What a protocol has to say of generated images that are not the generator's alone."""
        filled = isinstance(self.instruments.gan.condition, MaskedImage)
        return ", whose known part the generator was given" if filled else ""

    def draw(
        self, networks: Networks, about: dict[str, Any], count: int, split: Split
    ) -> np.ndarray:
        """`count` generated images, uint8 [N, H, W, C], from the stream of evaluation.

        As many of each label, in the labels' order; known parts are those of the split.
        """
        gan = self.instruments.gan
        key = stream(jax.random.key(about["seed"]), "evaluate/generated")
        latent = gan.latent.sample(key, count)
        latent = latent._replace(condition=self._condition(count, split))
        return to_uint8(self.instruments.sample(networks.generator, latent, key), gan.low)

    def _condition(self, count: int, split: Split) -> Any:
        gan = self.instruments.gan
        if isinstance(gan.condition, Label):
            return gan.condition.every(-(-count // len(gan.condition.members)), gan.dtype)[:count]
        if isinstance(gan.condition, MaskedImage):
            images = np.resize(split.first(count).images, (count, *gan.image_shape))
            return gan.condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
        return None

    # --- The measures

    def frechet(self, name: str, images: np.ndarray, about: dict[str, Any]) -> Measure:
        """The Fréchet distance of generated images to a split; beside it the training split's."""
        name, split = self.split(name)
        chosen = images[spread(len(images), min(len(images), len(split)))]
        return self.frechet_of(name, self.extractor.features(chosen), about)

    def frechet_of(self, name: str, features: np.ndarray, about: dict[str, Any]) -> Measure:
        """The same of the features of generated images, [N, F], N at most the split's size."""
        count = len(features)
        seen = min(count, len(self.dataset.train))
        real = self.features(name, count)
        # Where nothing is held out, training images would be held against themselves.
        floor = None if name == "train" else self._floor(name, count, seen)
        beside = "" if floor is None else f"; beside it {seen} training images against the same"
        return Measure(
            "frechet_distance",
            frechet_distance(real, features),
            "feature units squared",
            name,
            n_real=count,
            n_generated=count,
            reference=floor,
            extractor=self.extractor.name,
            extractor_hash=self.extractor.digest,
            protocol=f"features of as many generated as {name} images{self.kept}{beside}",
            **about,
        )

    def _floor(self, name: str, count: int, seen: int) -> float:
        """The Fréchet distance of training images to a split; computed once."""
        if (name, count) not in self._floors:
            real = self.features(name, count)
            self._floors[name, count] = frechet_distance(real, self.features("train", seen))
        return self._floors[name, count]

    def parzen(self, name: str, images: np.ndarray, about: dict[str, Any], most: int) -> Measure:
        """The Parzen-window estimate of a split's log-likelihood."""
        name, split = self.split(name)
        chosen_on, validation = self.split("validation")
        samples = images / np.float32(255)
        sigma = parzen.choose_sigma(samples, validation.first(FOR_SIGMA).images / np.float32(255))
        points = split.first(most).images / np.float32(255)
        values = parzen.parzen_log_likelihood(samples, points, sigma)
        mean, error = parzen.mean_and_error(values)
        return Measure(
            "parzen_log_likelihood",
            mean,
            "nats",
            name,
            n_real=len(points),
            n_generated=len(images),
            protocol=f"standard error {error:.2f}; sigma {sigma:.3f}, the best of logspace(-1, 0,"
            f" 10) on {min(FOR_SIGMA, len(validation))} {chosen_on} images; pixels in [0, 1]"
            + (f"; of generated images{self.kept}" if self.kept else ""),
            **about,
        )

    def labels(self, images: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """How often the classifier reads the label that was asked for; [] where none is."""
        condition = self.instruments.gan.condition
        if not isinstance(condition, Label) or self.classifier is None:
            return []
        asked, read = self.asked(len(images)), self.classifier.predict(images)
        shares = conditional_accuracy.per_class(asked, read, condition.classes)
        names = self.dataset.label_names
        said = ", ".join(f"{names[i]} {shares[i]:.4f}" for i in condition.members)
        return [
            Measure(
                "conditional_accuracy",
                conditional_accuracy.conditional_accuracy(asked, read),
                "share",
                "generated",
                n_generated=len(images),
                reference=self.classifier.accuracy,
                extractor=self.classifier.name,
                extractor_hash=self.classifier.digest,
                protocol="as many images of each label; beside it the classifier's accuracy on real"
                f" {self.classifier.judged} images; each label: {said}",
                **about,
            )
        ]

    def confusion(self, images: np.ndarray) -> str:
        """Which label is read where which was asked for, as a table; "" where none is."""
        if not self._told_labels or self.classifier is None:
            return ""
        names = self.dataset.label_names
        asked, read = self.asked(len(images)), self.classifier.predict(images)
        return conditional_accuracy.confusion_table(
            conditional_accuracy.confusion(asked, read, len(names)), names
        )

    def asked(self, count: int) -> np.ndarray:
        """The labels that `draw` asks for, int64 [count]."""
        return np.asarray(np.asarray(self._condition(count, self.dataset.train)).argmax(-1))

    def all(self, networks: Networks, about: dict[str, Any], limit: int) -> list[Measure]:
        """Every measure at the end of a run: `limit` generated images, and at most as many unseen
        ones. Of points only the modes found, where the dataset knows them."""
        if self.dataset.modes is not None:
            return [self._modes(networks, about, self.dataset.modes)]
        if self.dataset.points:
            return []
        name, split = self.split("test")
        images = self.draw(networks, about, limit, split)
        return [
            *self.labels(images, about),
            self.frechet(name, images, about),
            self.parzen(name, images, about, limit),
        ]

    def score(self, best_by: str, networks: Networks, about: dict[str, Any], limit: int) -> Measure:
        """The measure that picks the best, on the validation split."""
        name, split = self.split("validation")
        images = self.draw(networks, about, limit, split)
        if best_by == "parzen_log_likelihood":
            return self.parzen(name, images, about, limit)
        return self.frechet(name, images, about)

    def _modes(self, networks: Networks, about: dict[str, Any], modes: Modes) -> Measure:
        from jaxgan.data.sources import ring

        key = stream(jax.random.key(about["seed"]), "evaluate/generated")
        latent: Latent = self.instruments.gan.latent.sample(key, 1_000)
        latent = latent._replace(condition=self._condition(1_000, self.dataset.train))
        points = self.instruments.sample(networks.generator, latent)
        return Measure(
            "modes_found",
            float(ring.modes_found(points, modes)),
            "modes",
            "generated",
            n_generated=1_000,
            reference=float(len(modes.centres)),
            protocol="a mode is found by 20 samples in 1,000 within three deviations of its centre",
            **about,
        )


def spread(n: int, count: int) -> np.ndarray:
    """`count` places spread evenly over n: labels come in order, and each keeps its share."""
    return np.arange(count) * n // count


def _by_channel(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The classifier's features of each channel, joined: float32 [N, F * C]."""
    channels = range(images.shape[-1])
    return np.concatenate([classifier.features(images[..., [c]]) for c in channels], axis=1)
