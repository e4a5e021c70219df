"""The features of a run's real images, and the extractor that computes them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset, Split
from jaxgan.metrics.extractors.classifier import Classifier, reference_classifier
from jaxgan.metrics.extractors.thumbnails import thumbnails

# Real images in memory at once: streamed ones need not all fit.
_BLOCK = 2_000


class Extractor(NamedTuple):
    """A function from images to features.

    Attributes:
      name: its name in results.json.
      digest: a hash of its weights.
      features: the function, from uint8 [N, H, W, C] to float32 [N, F].
    """

    name: str
    digest: str
    features: Callable[[np.ndarray], np.ndarray]


class RealFeatures:
    """A run's real images, its classifier, and features. Each is computed once, when first needed.

    Args:
      dataset: the run's dataset.
      label_condition: whether the networks are conditioned on a label; their samples are then
        always classified.
      classify: whether the reference classifier may be trained for other runs.
      extractor: computes the features for distances; None for `native_extractor`.
      log: called with a line of text before slow work.
      classifier_optional: whether the config may leave the classifier out, which the line about it
        then says.
    """

    def __init__(
        self,
        dataset: Dataset,
        label_condition: bool = False,
        classify: bool = True,
        extractor: Extractor | None = None,
        log: Callable[[str], None] = print,
        classifier_optional: bool = False,
    ) -> None:
        self.dataset, self._label_condition, self._log = dataset, label_condition, log
        self._classifier_optional = classifier_optional
        self._classify = classify or label_condition
        self._extractor = extractor
        self._features: dict[tuple[str, str, str], np.ndarray] = {}

    def split(self, name: str) -> tuple[str, Split]:
        """Name and images of the split `name`, or of the one before it if it has fewer than two
        images, the minimum for a Fréchet distance."""
        return self.dataset.split(name, least=2)

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """The reference classifier of all the dataset's classes. None without labels, if no
        classifier may be trained, and for stacked digits, with their thousand classes, unless the
        networks are conditioned on a label."""
        whole = self.dataset.whole
        if not self._classify or whole.train.labels is None or len(whole.label_names) < 2:
            return None
        if self.dataset.stacked is not None and not self._label_condition:
            return None
        return reference_classifier(whole, self._log, purpose=self._purpose)

    @property
    def _purpose(self) -> str:
        """Why a classifier is trained, and how a run goes without."""
        if self._label_condition:
            return "it reads the label of each generated image"
        without = " (best_by=none leaves it out)" if self._classifier_optional else ""
        return f"distances between images are those of its features{without}"

    @functools.cached_property
    def native_extractor(self) -> Extractor:
        """The classifier's last hidden layer; for stacked digits the last hidden layer of the
        single-digit classifier on each channel; thumbnails without a classifier."""
        if self.dataset.stacked is not None and self._classify:
            single = reference_classifier(self.dataset.stacked, self._log, purpose=self._purpose)
            name = f"{single.name} on each channel"
            return Extractor(name, single.digest, lambda images: _by_channel(single, images))
        if self.classifier is None:
            return Extractor("8x8 thumbnails", self._thumbnails_digest, thumbnails)
        return Extractor(self.classifier.name, self.classifier.digest, self.classifier.features)

    @property
    def _thumbnails_digest(self) -> str:
        """A digest of the images in place of a network's, because distances can be compared only if
        the images are the same. It includes the chosen classes, but not the near-duplicates."""
        whole, dataset = self.dataset.whole, self.dataset
        chosen = dataset.classes if dataset.classes != whole.classes else ()
        return "+".join([whole.digest(), *map(str, chosen)])

    @property
    def extractor(self) -> Extractor:
        """The extractor for distances."""
        return self.native_extractor if self._extractor is None else self._extractor

    def of_split(self, name: str, count: int, extractor: Extractor | None = None) -> np.ndarray:
        """Features of the first `count` images of a split, float32 [count, F].

        Args:
          name: "train", "validation" or "test".
          count: number of images, at most the split's size.
          extractor: None for the extractor for distances.
        """
        extractor = extractor or self.extractor
        key = (extractor.name, extractor.digest, name)
        if len(self._features.get(key, ())) < count:
            split: Split = getattr(self.dataset, name)
            starts = range(0, count, _BLOCK)
            blocks = (split.images[i : min(i + _BLOCK, count)] for i in starts)
            self._features[key] = np.concatenate([extractor.features(block) for block in blocks])
        return self._features[key][:count]


def _by_channel(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The classifier's features of each channel, concatenated: float32 [N, F * C]."""
    channels = range(images.shape[-1])
    return np.concatenate([classifier.features(images[..., [c]]) for c in channels], axis=1)
