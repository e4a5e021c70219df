"""Every measure that suits a trained run, taken after training.

A measure is a function from a `Subject` to its rows, in one of the plain tuples below; another one
is one more line there.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan import code_measures
from jaxgan.conditions import Label
from jaxgan.data.dataset import Dataset
from jaxgan.distance_measures import DistanceMeasures
from jaxgan.factor_measures import factor_measures
from jaxgan.feature_measures import SVM_IMAGES, FeatureMeasures
from jaxgan.image_measures import Extractor, ImageMeasures, spread
from jaxgan.loading import Run
from jaxgan.metrics.measure import Measure
from jaxgan.reading import Instruments
from jaxgan.stacked_measures import stacked_measures
from jaxgan.state import Gan, Networks
from jaxgan.tag_measures import TagMeasures
from jaxgan.writers import Progress


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
        self.instruments = Instruments(gan)
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


# --- Codes


def codes_of_real_images(subject: Subject) -> list[Measure]:
    """What Q reads off real images: information, code accuracy, NMI, ARI."""
    shared = subject.evaluation
    return code_measures.real_measures(
        shared.instruments, subject.networks, shared.dataset, subject.about, shared.limit
    )


def codes_of_generated_images(subject: Subject) -> list[Measure]:
    """What Q reads off generated images: bounds and R^2."""
    shared = subject.evaluation
    return code_measures.generated_measures(
        shared.instruments, subject.networks, subject.about, shared.limit
    )


def codes_against_factors(subject: Subject) -> list[Measure]:
    """MIG, DCI, the FactorVAE score and R^2, where the factors of the images are known."""
    shared = subject.evaluation
    return factor_measures(
        shared.instruments, subject.networks, shared.dataset, subject.about, shared.limit
    )


# --- Pictures


def conditional_accuracy(subject: Subject) -> list[Measure]:
    """How often the label that was asked for is read."""
    return subject.evaluation.images.labels(subject.drawn, subject.about)


def frechet_distance(subject: Subject) -> list[Measure]:
    """On the reference classifier's features, or on thumbnails where there are no labels."""
    return [subject.evaluation.images.frechet_of(subject.split, subject.features, subject.about)]


def kernel_distance(subject: Subject) -> list[Measure]:
    """On the same features, without bias."""
    return subject.evaluation.distances.kernel(subject.features, subject.about)


def precision_and_recall(subject: Subject) -> list[Measure]:
    """The shares of generated images that look real, and of real ones that could be generated."""
    return subject.evaluation.distances.precision_recall(subject.features, subject.about)


def density_and_coverage(subject: Subject) -> list[Measure]:
    """The same two questions, less moved by outliers."""
    return subject.evaluation.distances.density_coverage(subject.features, subject.about)


def two_sample_accuracy(subject: Subject) -> list[Measure]:
    """How well a nearest neighbour tells generated from real images."""
    return subject.evaluation.distances.two_sample(subject.features, subject.about)


def class_score(subject: Subject) -> list[Measure]:
    """The score by classes, where there is a classifier."""
    return subject.evaluation.distances.class_score(subject.chosen, subject.about)


def memorisation(subject: Subject) -> list[Measure]:
    """Whether generated images are closer to the training images than unseen ones are."""
    return subject.evaluation.distances.memorisation(subject.own_features, subject.about)


def nearest_neighbour_error(subject: Subject) -> list[Measure]:
    """The test error of a nearest neighbour among generated images of known labels."""
    shared = subject.evaluation
    asked = shared.images.asked(len(subject.drawn))
    return shared.distances.nearest_neighbour_error(subject.drawn, asked, subject.about)


def parzen_log_likelihood(subject: Subject) -> list[Measure]:
    """Of the unseen images under windows on the generated ones."""
    images, limit = subject.evaluation.images, subject.evaluation.limit
    return [images.parzen("test", subject.drawn, subject.about, limit)]


def svm_accuracy(subject: Subject) -> list[Measure]:
    """The discriminator's convolutions as features, beside an untrained one's and raw pixels."""
    return subject.evaluation.features.svm(subject.networks, subject.about)


def modes_of_stacked_digits(subject: Subject) -> list[Measure]:
    """Of the thousand, how many are drawn, and how evenly."""
    shared = subject.evaluation
    return stacked_measures(
        shared.instruments, subject.networks, shared.dataset, subject.about, shared.say
    )


# --- Points


def modes_found(subject: Subject) -> list[Measure]:
    """Where the dataset knows its modes."""
    shared = subject.evaluation
    return shared.images.all(subject.networks, subject.about, shared.limit)


# --- Word vectors


def tags_of_images(subject: Subject) -> list[Measure]:
    """Precision and recall of generated tags, beside lists that want no GAN."""
    shared = subject.evaluation
    assert shared.tags is not None
    return shared.tags.all(subject.networks, subject.about, shared.limit)


# --- All of them

OF_CODES = (codes_of_real_images, codes_of_generated_images)
OF_FACTORS = (codes_against_factors,)
OF_LABELS = (conditional_accuracy, nearest_neighbour_error)
OF_PICTURES = (
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    density_and_coverage,
    two_sample_accuracy,
    class_score,
    memorisation,
    parzen_log_likelihood,
)
# A linear classifier of a thousand modes is another matter.
OF_SINGLE_PICTURES = (svm_accuracy,)
OF_STACKED_PICTURES = (modes_of_stacked_digits,)
OF_POINTS = (modes_found,)
OF_TAGS = (tags_of_images,)


def suited(gan: Gan, dataset: Dataset) -> list[Callable[[Subject], list[Measure]]]:
    """The measures that suit a run, in the order of a report."""
    codes = gan.q is not None
    if dataset.tags is not None:
        return [*OF_TAGS]
    if dataset.points:
        return [*(OF_CODES if codes else ()), *OF_POINTS]
    return [
        *(OF_CODES if codes else ()),
        *(OF_FACTORS if codes and dataset.factors else ()),
        *(OF_LABELS if isinstance(gan.condition, Label) else ()),
        *OF_PICTURES,
        *(OF_SINGLE_PICTURES if dataset.stacked is None else OF_STACKED_PICTURES),
    ]


class Found(NamedTuple):
    """What an evaluation hands back.

    Attributes:
      measures: of all networks.
      seconds: that each function took in all.
      neighbours: of each seed a sheet of generated images beside their nearest training images,
        uint8 [H, W, C]; empty for points. By the best networks where they are among those measured.
      confusion: of each seed, by the same networks, which label is read where which was asked for,
        as a table; empty where none is.
    """

    measures: list[Measure]
    seconds: dict[str, float]
    neighbours: dict[int, np.ndarray]
    confusion: dict[int, str]


def evaluate(
    runs: Sequence[Run],
    dataset: Dataset,
    limit: int,
    svm_images: int = SVM_IMAGES,
    extractor: Extractor | None = None,
    bar: bool = True,
) -> Found:
    """Takes every suited measure of some networks of one run, and shows how far it is.

    Args:
      runs: `loading.load_every`'s, at least one.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      svm_images: training images of the linear classifier.
      extractor: of the distances; None is the dataset's reference classifier.
      bar: False for plain lines even on a terminal.
    """
    functions = suited(runs[0].gan, dataset)
    progress = Progress(len(runs) * len(functions), 0, bar, "measure")
    evaluation = Evaluation(runs[0].gan, dataset, limit, svm_images, extractor, progress.say)
    found = Found([], {function.__name__: 0.0 for function in functions}, {}, {})
    last: list[Measure] = []
    try:
        for i, run in enumerate(runs):
            about: dict[str, Any] = {
                "seed": run.run_seed,
                "step": run.step,
                "checkpoint": run.checkpoint,
            }
            if last and (last[0].seed, last[0].step) == (run.run_seed, run.step):
                # The last step is the best one: the same networks.
                found.measures.extend(dataclasses.replace(measure, **about) for measure in last)
                continue
            last, subject = [], Subject(evaluation, run.networks, about)
            for j, function in enumerate(functions):
                what = f"{function.__name__} of the {run.checkpoint} networks, seed {run.run_seed}"
                progress.show(i * len(functions) + j, what)
                began = time.monotonic()
                last += function(subject)
                found.seconds[function.__name__] += time.monotonic() - began
            found.measures.extend(last)
            _show(subject, run.run_seed, found)
        progress.show(len(runs) * len(functions), "done", force=True)
    finally:
        progress.close()
    return found


def _show(subject: Subject, seed: int, found: Found) -> None:
    """Adds what is looked at rather than counted; the best networks come after the last."""
    shared = subject.evaluation
    if shared.dataset.points:
        return
    found.neighbours[seed] = shared.distances.neighbours(subject.chosen, subject.own_features)
    table = shared.images.confusion(subject.drawn)
    if table:
        found.confusion[seed] = table


IDENTITY = ("name", "seed", "step", "checkpoint", "split", "code", "extractor", "extractor_hash")


def merged(old: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a `results.json` with new ones: each takes the place of the row that measures
    the same thing on the same networks, or stands at the end."""
    rows = {tuple(row.get(part) for part in IDENTITY): row for row in old}
    rows |= {tuple(row.get(part) for part in IDENTITY): row for row in new}
    return list(rows.values())
