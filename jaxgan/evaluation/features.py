"""What the metrics of a run compare with: its splits, an extractor, features of real images."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset, Split
from jaxgan.metrics.extractors.classifier import Classifier, reference_classifier
from jaxgan.metrics.extractors.thumbnails import thumbnails

# Real images whose features are computed at once.
_BLOCK = 2_000


class Extractor(NamedTuple):
    """What turns images into features.

    Attributes:
      name: as results.json has it.
      digest: hash of its weights.
      features: from uint8 [N, H, W, C] to float32 [N, F].
    """

    name: str
    digest: str
    features: Callable[[np.ndarray], np.ndarray]


class RealFeatures:
    """The real images of a run and what reads them. Everything is computed once, when first needed.

    Args:
      dataset: of the run.
      label_condition: whether the run's networks are conditioned on a label; its samples are then
        always classified.
      classify: whether the reference classifier may be trained for other runs.
      extractor: of the distances; None is `native_extractor`.
      log: called with a line before anything slow.
    """

    def __init__(
        self,
        dataset: Dataset,
        label_condition: bool = False,
        classify: bool = True,
        extractor: Extractor | None = None,
        log: Callable[[str], None] = print,
    ) -> None:
        self.dataset, self._label_condition, self._log = dataset, label_condition, log
        self._classify = classify or label_condition
        self._extractor = extractor
        self._features: dict[tuple[str, str, str], np.ndarray] = {}

    def split(self, name: str) -> tuple[str, Split]:
        """The split of that name, or the one before it that has the two images that a Fréchet
        distance needs, with its own name."""
        return self.dataset.split(name, least=2)

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """The reference classifier of the dataset with all its classes. None where there are no
        labels, or no classifier is to be trained; of stacked digits, with their thousand classes,
        only where samples have a label to be read."""
        whole = self.dataset.whole
        if not self._classify or whole.train.labels is None or len(whole.label_names) < 2:
            return None
        if self.dataset.stacked is not None and not self._label_condition:
            return None
        return reference_classifier(whole, self._log)

    @functools.cached_property
    def native_extractor(self) -> Extractor:
        """The classifier's last hidden layer; of stacked digits that of each channel, by the
        classifier of the single digits; thumbnails where there is no classifier."""
        if self.dataset.stacked is not None and self._classify:
            single = reference_classifier(self.dataset.stacked, self._log)
            name = f"{single.name} on each channel"
            return Extractor(name, single.digest, lambda images: _by_channel(single, images))
        if self.classifier is None:
            return Extractor("8x8 thumbnails", self._thumbnails_digest, thumbnails)
        return Extractor(self.classifier.name, self.classifier.digest, self.classifier.features)

    @property
    def _thumbnails_digest(self) -> str:
        """The images' own digest in place of a network's, because only distances to the same images
        compare. It includes the chosen classes, but not which near-duplicates were left out."""
        whole, dataset = self.dataset.whole, self.dataset
        chosen = dataset.classes if dataset.classes != whole.classes else ()
        return "+".join([whole.digest(), *map(str, chosen)])

    @property
    def extractor(self) -> Extractor:
        """That of the distances."""
        return self.native_extractor if self._extractor is None else self._extractor

    def of_split(self, name: str, count: int, extractor: Extractor | None = None) -> np.ndarray:
        """Features of the first `count` images of a split, float32 [count, F].

        Args:
          name: "train", "validation" or "test".
          count: at most the split's size.
          extractor: None is that of the distances.
        """
        extractor = extractor or self.extractor
        key = (extractor.name, extractor.digest, name)
        if len(self._features.get(key, ())) < count:
            split: Split = getattr(self.dataset, name)
            # In blocks, so that streamed images are never all in memory.
            starts = range(0, count, _BLOCK)
            blocks = (split.images[i : min(i + _BLOCK, count)] for i in starts)
            self._features[key] = np.concatenate([extractor.features(block) for block in blocks])
        return self._features[key][:count]


def _by_channel(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The classifier's features of each channel, concatenated: float32 [N, F * C]."""
    channels = range(images.shape[-1])
    return np.concatenate([classifier.features(images[..., [c]]) for c in channels], axis=1)
