"""The input of every metric: generated samples, and what all networks of a run share."""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset
from jaxgan.data.pixels import to_network
from jaxgan.evaluation.features import Extractor, RealFeatures
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.extractors.classifier import Classifier
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.models.infogan import CategoricalParameters, CodeParameters
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Networks
from jaxgan.training.gan import Gan

SVM_IMAGES = 2_000
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class EvaluationContext:
    """What the metrics of all networks of one run share.

    Attributes:
      functions: compiled functions of the run's networks.
      dataset: the run's real images.
      real: the features of those images.
      limit: number of generated images, and the largest number of real images of each split.
      svm_images: number of training images that the linear probe is fitted on.
      log: called with a line of text before slow work.
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
        """The value of `compute()`, called once per key: reference values depend on the data alone,
        so that all networks share them."""
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
    classifier_optional: bool = False,
) -> EvaluationContext:
    """The context of a run; arguments as the attributes of `EvaluationContext`, and:

    Args:
      classify: whether the reference classifier may be trained for a run without label condition.
      extractor: computes the features for distances; None for `RealFeatures.native_extractor`.
      classifier_optional: whether the config may leave the reference classifier out.
    """
    label_condition = isinstance(functions.gan.condition, Label)
    real = RealFeatures(dataset, label_condition, classify, extractor, log, classifier_optional)
    return EvaluationContext(functions, dataset, real, limit, svm_images, log)


class PredictedCodes(NamedTuple):
    """What Q predicts for the images of a split: the split's name, the number of images, their
    labels (int32 [N], or None), and the parameters of each code."""

    name: str
    size: int
    labels: np.ndarray | None
    parameters: tuple[CodeParameters, ...]

    def logits(self, i: int) -> np.ndarray:
        """The logits of categorical code i, float [N, K]."""
        parameters = self.parameters[i]
        assert isinstance(parameters, CategoricalParameters)
        return np.asarray(parameters.logits)

    def means(self, indices: Sequence[int]) -> np.ndarray:
        """The means of continuous codes, float [N, D]."""
        parameters: list[Any] = [self.parameters[i] for i in indices]
        return np.concatenate([np.asarray(one.mean) for one in parameters], axis=1)


class RealCodes(NamedTuple):
    """What Q predicts for real images of each split, at most `limit` of each. An empty split is
    replaced by the one before it."""

    train: PredictedCodes
    validation: PredictedCodes
    test: PredictedCodes


class GeneratedSamples:
    """The samples of one seed's networks at one step, drawn when first needed.

    Args:
      context: the run's data and compiled functions.
      networks: the networks to measure.
      about: their `seed`, `step` and `checkpoint`, repeated in every row of results.json.
      split: name of the split whose real images are compared with. If it has no images, the split
        before it ("train", "validation", "test") is used.

    Attributes:
      requested_split: the `split` argument.
      split, real: the name and the images of the split that is used.
      count: number of images on each side of a distance.
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
        """Appended to a protocol if the generator was given part of each image."""
        filled = isinstance(self.gan.condition, MaskedImage)
        return ", with their known part given to the generator" if filled else ""

    def latent(self, count: int) -> Latent:
        """`count` latents from the evaluation's PRNG stream, with their condition."""
        latent = self.gan.latent.sample(self.key, count)
        return latent._replace(condition=self._condition(count))

    def row(
        self,
        name: str,
        value: float,
        unit: str,
        split: str,
        protocol: str,
        network: Extractor | Classifier | None = None,
        **fields: Any,
    ) -> MetricResult:
        """A row of results.json about these networks; `network` computed the features or classes,
        and `fields` are further fields of `MetricResult`."""
        if network is not None:
            fields |= {"extractor": network.name, "extractor_hash": network.digest}
        return MetricResult(name, value, unit, split, protocol=protocol, **fields, **self.about)

    def code_predictor(self, images: Any) -> Callable[[Any], tuple[Any, ...]]:
        """A function from images to each code's parameters: Q, with BatchNorm recalibrated on
        `images`."""
        functions, networks = self.context.functions, self.networks
        assert networks.q is not None
        recalibrated = functions.recalibrate_batch_norm(networks.discriminator, networks.q, images)
        return functools.partial(functions.predict_codes, *recalibrated)

    @functools.cached_property
    def real_codes(self) -> RealCodes:
        """What Q predicts for real images, with BatchNorm recalibrated on training images."""
        dataset, limit = self.context.dataset, self.context.limit
        splits = {name: dataset.split(name) for name in RealCodes._fields}
        images = {name: split.first(limit) for name, split in splits.values()}
        predict = self.code_predictor(images["train"].images)
        codes = {name: predict(split.images) for name, split in images.items()}
        return RealCodes(
            **{
                asked: PredictedCodes(name, len(images[name]), images[name].labels, codes[name])
                for asked, (name, _) in splits.items()
            }
        )

    @property
    def key(self) -> jax.Array:
        """PRNG key of the samples' latents and dropout."""
        return stream(jax.random.key(self.about["seed"]), "evaluate/generated")

    def _condition(self, count: int) -> Any:
        """The conditions of `count` samples: each label equally often, or once more than others
        where `count` is no multiple of the labels, in the labels' order; or the known parts of the
        real images."""
        condition, gan = self.gan.condition, self.gan
        if isinstance(condition, Label):
            labels = condition.every(-(-count // len(condition.members)), gan.dtype)
            return labels[even_indices(len(labels), count)]
        if isinstance(condition, MaskedImage):
            images = np.resize(self.real.first(count).images, (count, *gan.image_shape))
            return condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
        return None

    @functools.cached_property
    def images(self) -> np.ndarray:
        """Generated images, uint8 [limit, H, W, C]."""
        return self.draw(self.context.limit)

    def draw(self, count: int) -> np.ndarray:
        """Generates images from `latent(count)`, uint8 [count, H, W, C]."""
        draw = self.context.functions.sample_images
        return draw(self.networks.generator, self.latent(count), self.key)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The label that each image was conditioned on, int64 [limit]."""
        return np.asarray(self._condition(self.context.limit)).argmax(-1)

    @functools.cached_property
    def predicted_labels(self) -> np.ndarray:
        """The label that the reference classifier, which must exist, predicts for each image, int64
        [limit]."""
        classifier = self.context.real.classifier
        assert classifier is not None
        return classifier.predict(self.images)

    @functools.cached_property
    def subset(self) -> np.ndarray:
        """`count` of the images, uint8 [count, H, W, C], each label equally often."""
        return self.images[even_indices(len(self.images), self.count)]

    @functools.cached_property
    def features(self) -> np.ndarray:
        """The subset's features for distances, float32 [count, F]."""
        return self.context.real.extractor.features(self.subset)

    @functools.cached_property
    def native_features(self) -> np.ndarray:
        """The subset's features by the dataset's own extractor, float32 [count, F]."""
        real = self.context.real
        if real.native_extractor is real.extractor:
            return self.features
        return real.native_extractor.features(self.subset)


def even_indices(n: int, count: int) -> np.ndarray:
    """`count` indices spread evenly over n, so that samples sorted by label keep each label's
    share."""
    return np.arange(count) * n // count
