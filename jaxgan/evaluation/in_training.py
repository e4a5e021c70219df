"""What is measured of a run, during training and at its end, and what picks its best step."""

import functools
from collections.abc import Callable
from typing import Any

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation.code_metrics import generated_measures, real_measures
from jaxgan.evaluation.factor_metrics import factor_measures
from jaxgan.evaluation.image_metrics import ImageMeasures
from jaxgan.evaluation.results import Measure
from jaxgan.evaluation.stacked_metrics import stacked_measures
from jaxgan.evaluation.tag_metrics import TagMeasures
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.variables import Networks

# Measures of which less is better.
FALLING = ("frechet_distance",)
# Measures that know nothing but pictures.
OF_PICTURES = ("parzen_log_likelihood", "frechet_distance")


def refuse(best_by: str, dataset: Dataset) -> None:
    """Raises UserError if the measure that picks the best step does not suit the data."""
    if dataset.points and best_by in OF_PICTURES:
        raise UserError(
            f"best_by={best_by}: {dataset.name} holds {dataset.train.images.dtype} points, and this"
            " is a measure of uint8 pictures",
            "choose best_by=none",
        )
    if best_by == "tag_precision" and dataset.tags is None:
        raise UserError(
            f"best_by=tag_precision: {dataset.name} has no images with tags", "choose best_by=none"
        )


class Measures:
    """The measures of one run: an InfoGAN's codes, tags, or the images of any other system.

    Args:
      instruments: of this run.
      dataset: the run's.
      best_by: the measure that picks the best step ("none": there is no best).
      say: told what takes long.
    """

    def __init__(
        self,
        instruments: NetworkFunctions,
        dataset: Dataset,
        best_by: str,
        say: Callable[[str], None] = print,
    ) -> None:
        self.instruments, self.dataset, self.best_by, self._say = (
            instruments,
            dataset,
            best_by,
            say,
        )

    @functools.cached_property
    def _images(self) -> ImageMeasures:
        if self.dataset.points and self.dataset.modes is None:
            self._say(f"{self.dataset.name}: points, not pictures; there is no measure of them")
        # Who asks for no best step asks for nothing slow: no network is trained just to measure.
        return ImageMeasures(self.instruments, self.dataset, self._say, self.best_by != "none")

    @functools.cached_property
    def _tags(self) -> TagMeasures:
        assert self.dataset.tags is not None
        return TagMeasures(self.instruments, self.dataset.tags)

    def at_step(self, networks: Networks, about: dict[str, Any], limit: int) -> list[Measure]:
        """What is measured while training.

        Args:
          networks: of one seed.
          about: its `seed`, `step` and `checkpoint`, for the record.
          limit: at most so many real and generated images.
        """
        if networks.q is not None:
            measures = real_measures(self.instruments, networks, self.dataset, about, limit)
            if self.best_by in ("none", "code_information"):
                return measures
            return measures + [self._images.score(self.best_by, networks, about, limit)]
        if self.best_by == "none":
            return []
        if self.dataset.tags is not None:
            return [self._tags.score(networks, about, limit)]
        return [self._images.score(self.best_by, networks, about, limit)]

    def at_end(self, networks: Networks, about: dict[str, Any], limit: int) -> list[Measure]:
        """Every measure of one seed's networks, in the order of a report."""
        if self.dataset.tags is not None:
            return self._tags.all(networks, about, limit)
        modes = stacked_measures(self.instruments, networks, self.dataset, about, self._say)
        if networks.q is None:
            return self._images.all(networks, about, limit) + modes
        return [
            *real_measures(self.instruments, networks, self.dataset, about, limit),
            *generated_measures(self.instruments, networks, about, limit),
            *factor_measures(self.instruments, networks, self.dataset, about, limit),
            *modes,
        ]

    def score(self, measures: list[Measure]) -> float:
        """What the best step is chosen by: higher is better, no test label enters. Summed over the
        categorical codes for their information, in nats. NaN where there is no such measure."""
        values = [m.value for m in measures if m.name == self.best_by]
        if not values:
            return float("nan")
        return -sum(values) if self.best_by in FALLING else sum(values)
