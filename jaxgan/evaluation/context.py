"""What a metric is given: the samples of some networks, and what all networks of a run share."""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.evaluation.features import Extractor, RealFeatures
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Networks
from jaxgan.training.gan import Gan

SVM_IMAGES = 2_000
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class EvaluationContext:
    """What the metrics of all networks of one run share.

    Attributes:
      functions: the run's compiled functions.
      dataset: of the run.
      real: features of its images.
      limit: the number of generated images, and the most of each split.
      svm_images: training images that the linear probe is fitted on.
      log: called with a line before anything slow.
    """

    functions: NetworkFunctions
    dataset: Dataset
    real: RealFeatures
    limit: int
    svm_images: int = SVM_IMAGES
    log: Callable[[str], None] = print
    _results: dict[Hashable, Any] = dataclasses.field(default_factory=dict, init=False)

    @property
    def gan(self) -> Gan:
        return self.functions.gan

    def once(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """`compute()`, called for the first networks only: reference values are of the data, not of
        the networks."""
        if key not in self._results:
            self._results[key] = compute()
        found: _T = self._results[key]
        return found


def make_context(
    functions: NetworkFunctions,
    dataset: Dataset,
    limit: int,
    svm_images: int = SVM_IMAGES,
    classify: bool = True,
    extractor: Extractor | None = None,
    log: Callable[[str], None] = print,
) -> EvaluationContext:
    """The context of a run.

    Args:
      functions: the run's compiled functions.
      dataset: of the run.
      limit: the number of generated images, and the most of each split.
      svm_images: training images that the linear probe is fitted on.
      classify: whether a classifier may be trained where the run has no label as its condition.
      extractor: of the distances; None is the dataset's reference classifier.
      log: called with a line before anything slow.
    """
    label_condition = isinstance(functions.gan.condition, Label)
    real = RealFeatures(dataset, label_condition, classify, extractor, log)
    return EvaluationContext(functions, dataset, real, limit, svm_images, log)


class GeneratedSamples:
    """The samples of one seed's networks at one step, drawn when first needed.

    Args:
      context: of the run.
      networks: to be measured.
      about: their `seed`, `step` and `checkpoint`, which every row of results.json repeats.
      split: of the real images to compare with; the one before it stands in for an empty one.

    Attributes:
      requested_split: as given.
      split, real: the name and the images of the split that is used.
      count: how many real images, and as many generated ones, a distance compares.
    """

    def __init__(
        self,
        context: EvaluationContext,
        networks: Networks,
        about: dict[str, Any],
        split: str = "test",
    ) -> None:
        self.context, self.networks, self.about = context, networks, about
        self.requested_split = split
        self.split, self.real = context.real.split(split)
        self.count = min(context.limit, len(self.real))

    @property
    def gan(self) -> Gan:
        return self.context.gan

    @property
    def condition_note(self) -> str:
        """A clause for the protocol where samples are not the generator's alone."""
        filled = isinstance(self.gan.condition, MaskedImage)
        return ", whose known part the generator was given" if filled else ""

    def latent(self, count: int) -> Latent:
        """`count` latents from the evaluation's PRNG stream, with their condition."""
        latent = self.gan.latent.sample(self.key, count)
        return latent._replace(condition=self._condition(count))

    @property
    def key(self) -> jax.Array:
        """Of the samples' latents and dropout."""
        return stream(jax.random.key(self.about["seed"]), "evaluate/generated")

    def _condition(self, count: int) -> Any:
        """As many of each label, in the labels' order; known parts are those of the real images."""
        condition, gan = self.gan.condition, self.gan
        if isinstance(condition, Label):
            return condition.every(-(-count // len(condition.members)), gan.dtype)[:count]
        if isinstance(condition, MaskedImage):
            images = np.resize(self.real.first(count).images, (count, *gan.image_shape))
            return condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
        return None

    @functools.cached_property
    def images(self) -> np.ndarray:
        """Generated images, uint8 [limit, H, W, C]."""
        latent = self.latent(self.context.limit)
        sampled = self.context.functions.sample(self.networks.generator, latent, self.key)
        return to_uint8(sampled, self.gan.low)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The label that each image was conditioned on, int64 [limit]."""
        return np.asarray(np.asarray(self._condition(self.context.limit)).argmax(-1))

    @functools.cached_property
    def subset(self) -> np.ndarray:
        """`count` of the images, uint8 [count, H, W, C], as many of each label."""
        return self.images[even_indices(len(self.images), self.count)]

    @functools.cached_property
    def features(self) -> np.ndarray:
        """Of the subset, by the extractor of the distances, float32 [count, F]."""
        return self.context.real.extractor.features(self.subset)

    @functools.cached_property
    def native_features(self) -> np.ndarray:
        """The same by the dataset's own extractor."""
        real = self.context.real
        if real.native_extractor is real.extractor:
            return self.features
        return real.native_extractor.features(self.subset)


def even_indices(n: int, count: int) -> np.ndarray:
    """`count` indices spread evenly over n: samples come sorted by label, and each label keeps its
    share."""
    return np.arange(count) * n // count
