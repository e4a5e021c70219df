"""Generated images held against real ones feature by feature, once a run has finished.

What stands beside a figure is the same measure of as many real training images in the generated
ones' place: what a perfect generator would have. Where no image is unseen there is nothing beside.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.evaluation.image_metrics import Extractor, ImageMeasures, spread
from jaxgan.evaluation.results import Measure
from jaxgan.metrics.images.class_score import class_score
from jaxgan.metrics.images.kernel_distance import kernel_distance
from jaxgan.metrics.images.memorisation import LEAST as LEAST_IN_CELL
from jaxgan.metrics.images.memorisation import CopyingResult, CopyingTest, nearest_training
from jaxgan.metrics.images.nearest_neighbour import nearest_neighbour_error, two_sample_accuracy
from jaxgan.metrics.images.precision_recall import density_coverage, precision_recall
from jaxgan.models.conditions import Label

# With fewer images the measures say nothing, and some are not defined.
LEAST = 20
# Training images that a nearest one is looked for among.
MOST_TRAINING = 60_000
# The sheet of nearest neighbours: generated images, and training images beside each.
ROWS, NEAREST = 10, 8


class DistanceMeasures:
    """Compares features of generated images with those of a dataset's unseen images.

    Args:
      images: of the same run: splits, extractors, and the features of real images.
      limit: at most so many images of a split.

    Attributes:
      split: the name of the unseen images' split.
      count: how many of them, and of generated ones, there are to be.
    """

    def __init__(self, images: ImageMeasures, limit: int) -> None:
        self.images = images
        self.split, unseen = images.split("test")
        self.count = min(limit, len(unseen))
        self._unseen = unseen.first(self.count)
        self._seen = min(self.count, len(images.dataset.train))
        self._fitted = min(limit, len(images.dataset.train))
        self._floors: dict[Callable[..., Any], Any] = {}

    # --- Two sets of features

    def kernel(self, features: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """The kernel distance of generated images' features, [count, F]."""
        return self._rows(
            kernel_distance,
            {"kernel_distance": ("value", "1")},
            "standard error {0.error:.2g} over {0.subsets} disjoint subsets of {0.subset_size}",
            features,
            about,
        )

    def precision_recall(self, features: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """Improved precision and recall, of features as in `kernel`."""
        names = {"precision": ("precision", "share"), "recall": ("recall", "share")}
        return self._rows(precision_recall, names, "balls to the 3rd nearest", features, about)

    def density_coverage(self, features: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """Density and coverage, of features as in `kernel`."""
        names = {"density": ("density", "1"), "coverage": ("coverage", "share")}
        return self._rows(density_coverage, names, "balls to the 5th nearest", features, about)

    def two_sample(self, features: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """The leave-one-out accuracy of 1-NN, of features as in `kernel`."""
        return self._rows(
            two_sample_accuracy,
            {"two_sample_accuracy": ("accuracy", "share")},
            "1-NN, leave-one-out: {0.real:.4f} of real and {0.generated:.4f} of generated images;"
            " 0.5 is chance",
            features,
            about,
        )

    def _rows(
        self,
        measure: Callable[[np.ndarray, np.ndarray], Any],
        names: dict[str, tuple[str, str]],
        protocol: str,
        features: np.ndarray,
        about: dict[str, Any],
    ) -> list[Measure]:
        """What a measure of two sets of features finds.

        Args:
          measure: of the features of real and of generated images.
          names: a row's name, and the field of what is found and the unit.
          protocol: formatted with what is found.
          features: of the generated images.
        """
        if self.count < LEAST:
            return []
        found = measure(self.images.features(self.split, self.count), features)
        floor, beside = self._floor(measure)
        return [
            Measure(
                name,
                float(getattr(found, field)),
                unit,
                self.split,
                n_real=self.count,
                n_generated=len(features),
                reference=None if floor is None else float(getattr(floor, field)),
                protocol=f"features of as many generated as {self.split} images{self.images.kept};"
                f" {protocol.format(found)}{beside}",
                **_of(self.images.extractor),
                **about,
            )
            for name, (field, unit) in names.items()
        ]

    def _floor(self, measure: Callable[[np.ndarray, np.ndarray], Any]) -> tuple[Any, str]:
        """What it finds of training images, and how that is said; found once for all networks."""
        if self.split == "train" or self._seen < LEAST:
            return None, ""
        if measure not in self._floors:
            real = self.images.features(self.split, self._seen)
            self._floors[measure] = measure(real, self.images.features("train", self._seen))
        return self._floors[measure], (
            f"; beside it {self._seen} training images against as many {self.split} ones"
        )

    # --- Classes

    def class_score(self, generated: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """The score by classes of generated images, uint8 [count, H, W, C]; beside it that of the
        unseen ones. [] without a classifier."""
        classifier = self.images.classifier
        if classifier is None or self.count < LEAST:
            return []
        found = class_score(classifier.probabilities(generated))
        return [
            Measure(
                "class_score",
                found.value,
                "classes",
                "generated",
                n_real=self.count,
                n_generated=len(generated),
                reference=self._class_score_of_unseen,
                extractor=classifier.name,
                extractor_hash=classifier.digest,
                protocol=f"deviation {found.deviation:.2g} over {found.splits} splits of"
                f" {found.split_size}; beside it as many {self.split} images",
                **about,
            )
        ]

    @functools.cached_property
    def _class_score_of_unseen(self) -> float:
        assert self.images.classifier is not None
        return class_score(self.images.classifier.probabilities(self._unseen.images)).value

    def nearest_neighbour_error(
        self, generated: np.ndarray, asked: np.ndarray, about: dict[str, Any]
    ) -> list[Measure]:
        """The test error of 1-NN fitted on generated images, uint8 [N, H, W, C], and the labels
        that were asked for, int [N]; beside it fitted on real ones. [] where none was."""
        told = isinstance(self.images.instruments.gan.condition, Label)
        if not told or self._unseen.labels is None or self.split == "train":
            return []
        test = self._unseen.images, self._unseen.labels
        return [
            Measure(
                "nearest_neighbour_error",
                nearest_neighbour_error(generated, asked, *test),
                "share",
                self.split,
                n_real=self.count,
                n_generated=len(generated),
                reference=self._error_of_real,
                protocol="pixels; fitted on generated images, as many of each label; beside it on"
                f" {self._fitted} training images",
                **about,
            )
        ]

    @functools.cached_property
    def _error_of_real(self) -> float:
        train, unseen = self.images.dataset.train.first(self._fitted), self._unseen
        assert train.labels is not None
        assert unseen.labels is not None
        return nearest_neighbour_error(train.images, train.labels, unseen.images, unseen.labels)

    # --- Nearest training images

    def memorisation(self, features: np.ndarray, about: dict[str, Any]) -> list[Measure]:
        """C_T, and how often a generated image is the closer one to its nearest training image.

        Args:
          features: of generated images by `images.own`, [count, F]: another extractor would have to
            read the whole training split.
        """
        if self.split == "train" or min(self.count, len(self._train)) < LEAST:
            return []
        found, beside = self._memory.of(features), self._memorisation_of_validation
        floor = "" if beside is None else f"; beside it {self._held_out} validation images"
        told: dict[str, Any] = {
            "split": self.split,
            "n_real": self.count,
            "n_generated": len(features),
            "protocol": "distances of features, not of pixels, to the nearest of"
            f" {len(self._train)} training images; generated{self.images.kept} against {self.split}"
            f" images; {found.cells} cells with at least {LEAST_IN_CELL} of each,"
            f" {found.covered:.0%} of the {self.split} images{floor}; below 0 (share: above 0.5)"
            " generated images are the closer ones",
            **_of(self.images.own),
            **about,
        }
        return [
            Measure(
                "memorisation",
                found.statistic,
                "deviations",
                reference=None if beside is None else beside.statistic,
                **told,
            ),
            Measure(
                "memorisation_closer",
                found.closer,
                "share",
                reference=None if beside is None else beside.closer,
                **told,
            ),
        ]

    @property
    def _train(self) -> np.ndarray:
        """The training images' own features, [T, F]."""
        count = min(MOST_TRAINING, len(self.images.dataset.train))
        return self.images.features("train", count, self.images.own)

    @functools.cached_property
    def _memory(self) -> CopyingTest:
        unseen = self.images.features(self.split, self.count, self.images.own)
        return CopyingTest(self._train, unseen)

    @property
    def _held_out(self) -> int:
        return min(self.count, len(self.images.dataset.validation))

    @functools.cached_property
    def _memorisation_of_validation(self) -> CopyingResult | None:
        """Real images in the generated ones' place that are not training images themselves."""
        if self.split == "validation" or self._held_out < LEAST:
            return None
        return self._memory.of(self.images.features("validation", self._held_out, self.images.own))

    def neighbours(
        self, generated: np.ndarray, features: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some generated images, evenly over the labels, and the training images nearest to each.

        Args:
          generated: uint8 [count, H, W, C].
          features: of these, by `images.own`.

        Returns:
          Generated images, uint8 [R, H, W, C], and of each its nearest training images, nearest
          first, uint8 [R, k, H, W, C].
        """
        rows = spread(len(generated), min(ROWS, len(generated)))
        nearest = nearest_training(self._train, features[rows], min(NEAREST, len(self._train)))
        places = nearest.places.reshape(-1)
        train = self.images.dataset.train.take(places).first(len(places)).images
        shown = train.reshape(*nearest.places.shape, *generated.shape[1:])
        return generated[rows], shown


def _of(extractor: Extractor) -> dict[str, Any]:
    return {"extractor": extractor.name, "extractor_hash": extractor.digest}
