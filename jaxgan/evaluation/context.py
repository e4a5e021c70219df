"""Generated samples and what they are measured with."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.evaluation.feature_metrics import DistanceMeasures
from jaxgan.evaluation.image_metrics import Extractor, ImageMeasures, spread
from jaxgan.evaluation.linear_probe import SVM_IMAGES, FeatureMeasures
from jaxgan.evaluation.tag_metrics import TagMeasures
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.variables import Networks
from jaxgan.training.gan import Gan


class Evaluation:
    """What all networks of a run are measured with: made once, kept for the next ones.

    Args:
      gan: the rules.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      svm_images: that the linear classifier is fitted on.
      extractor: of the distances; None is the dataset's reference classifier.
      say: told what takes long.
    """

    def __init__(
        self,
        gan: Gan,
        dataset: Dataset,
        limit: int,
        svm_images: int = SVM_IMAGES,
        extractor: Extractor | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.gan, self.dataset, self.limit, self.say = gan, dataset, limit, say
        self.instruments = NetworkFunctions(gan)
        self.images = ImageMeasures(self.instruments, dataset, say, extractor=extractor)
        self.distances = DistanceMeasures(self.images, limit)
        self.tags: TagMeasures | None = None
        if dataset.tags is not None:
            self.tags = TagMeasures(self.instruments, dataset.tags)
        self.features = FeatureMeasures(self.instruments, dataset, limit, svm_images)


class Subject:
    """One seed's networks at one step, and what they drew.

    Attributes:
      evaluation: what is shared with the other networks of the run.
      networks: to be measured.
      about: their `seed`, `step` and `checkpoint`, for the record.
      split, real: the unseen images, and their split's name.
    """

    def __init__(self, evaluation: Evaluation, networks: Networks, about: dict[str, Any]) -> None:
        self.evaluation, self.networks, self.about = evaluation, networks, about
        self.split, self.real = evaluation.images.split("test")

    @functools.cached_property
    def drawn(self) -> np.ndarray:
        """Generated images, uint8 [limit, H, W, C]: as many of each label, in the labels' order."""
        evaluation = self.evaluation
        return evaluation.images.draw(self.networks, self.about, evaluation.limit, self.real)

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """As many of these as there are unseen images, at most."""
        count = self.evaluation.distances.count
        return self.drawn[spread(len(self.drawn), count)]

    @functools.cached_property
    def features(self) -> np.ndarray:
        """Of the chosen ones, by the extractor of the distances."""
        return self.evaluation.images.extractor.features(self.chosen)

    @functools.cached_property
    def own_features(self) -> np.ndarray:
        """The same by the dataset's own extractor."""
        images = self.evaluation.images
        if images.own is images.extractor:
            return self.features
        return images.own.features(self.chosen)
