"""Generated tags held against images' own: the measures of a system that tags images."""

import functools
from typing import Any

import numpy as np

from jaxgan.data.tagging.types import Tagged, Tags
from jaxgan.evaluation.results import Measure
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.tagging import SAMPLES, generated_tags
from jaxgan.metrics import tag_lists as lists_of
from jaxgan.models.variables import Networks

_GENERATED = (
    f"the 10 words named most often by {SAMPLES} samples for each image, each naming its"
    f" {lists_of.NEAREST} nearest words by cosine, against the image's own tags"
)


class TagMeasures:
    """Compares tags with the images' own.

    Args:
      instruments: of this run.
      tags: of its dataset.
    """

    def __init__(self, instruments: NetworkFunctions, tags: Tags) -> None:
        self.instruments, self.tags = instruments, tags

    def score(self, networks: Networks, about: dict[str, Any], limit: int) -> Measure:
        """The precision on at most `limit` validation images (training ones where there are none):
        it picks the best networks."""
        name, images = self.tags.split("validation")
        return self._generated(networks, name, images.first(limit), about)[0]

    def all(self, networks: Networks, about: dict[str, Any], limit: int) -> list[Measure]:
        """Precision and recall on at most `limit` unseen images: of the generated tags, and of the
        lists that want no GAN."""
        name, images = self.tags.split("test")
        rows = self._generated(networks, name, images.first(limit), about)
        for suffix, lists, protocol in self._without_a_gan(limit):
            rows += _rows(suffix, lists, images.first(limit), name, protocol, about)
        return rows

    def _generated(
        self, networks: Networks, name: str, images: Tagged, about: dict[str, Any]
    ) -> list[Measure]:
        lists = generated_tags(
            self.instruments,
            networks.generator,
            self.tags.vocabulary,
            images.features,
            about["seed"],
        )
        drawn = SAMPLES * len(images)
        return _rows("", lists, images, name, _GENERATED, about | {"n_generated": drawn})

    @functools.lru_cache(maxsize=4)  # noqa: B019 - as long as the run's measures live
    def _without_a_gan(self, limit: int) -> list[tuple[str, np.ndarray, str]]:
        images = self.tags.split("test")[1].first(limit)
        words = len(self.tags.vocabulary.words)
        near, k = lists_of.best_neighbours(self.tags, images.features)
        linear, weight = lists_of.best_linear(self.tags, images.features)
        return [
            (
                "_constant",
                lists_of.constant_lists(self.tags.train, words, len(images)),
                "the 10 commonest words of the training images",
            ),
            (
                "_neighbours",
                near,
                f"the 10 commonest words of the {k} training images with the nearest features, k"
                " chosen on the validation images",
            ),
            (
                "_linear",
                linear,
                f"the 10 words nearest to a linear map of the features (ridge, {weight:g}, chosen"
                " on the validation images)",
            ),
        ]


def _rows(
    suffix: str,
    lists: np.ndarray,
    images: Tagged,
    split: str,
    protocol: str,
    about: dict[str, Any],
) -> list[Measure]:
    values = lists_of.precision_recall(lists, images.tags)
    return [
        Measure(
            name + suffix, value, "share", split, protocol=protocol, n_real=len(images), **about
        )
        for name, value in zip(("tag_precision", "tag_recall"), values, strict=True)
    ]
