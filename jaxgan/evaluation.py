"""Every measure that suits a trained run, taken after training.

A measure is a function from a `Subject` to its rows, in one of the plain tuples below; another one
is one more line there.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jaxgan import code_measures
from jaxgan.conditions import Label
from jaxgan.data.dataset import Dataset
from jaxgan.feature_measures import SVM_IMAGES, FeatureMeasures
from jaxgan.image_measures import ImageMeasures
from jaxgan.loading import Run
from jaxgan.metrics.measure import Measure
from jaxgan.reading import Instruments
from jaxgan.state import Gan, Networks
from jaxgan.writers import Progress


class Evaluation:
    """What all networks of a run are measured with: made once, kept for the next ones.

    Args:
      gan: the rules.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      svm_images: that the linear classifier is fitted on.
      say: told what takes long.
    """

    def __init__(
        self,
        gan: Gan,
        dataset: Dataset,
        limit: int,
        svm_images: int = SVM_IMAGES,
        say: Callable[[str], None] = print,
    ) -> None:
        self.gan, self.dataset, self.limit = gan, dataset, limit
        self.instruments = Instruments(gan)
        self.images = ImageMeasures(self.instruments, dataset, say)
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


# --- Pictures


def conditional_accuracy(subject: Subject) -> list[Measure]:
    """How often the label that was asked for is read."""
    return subject.evaluation.images.labels(subject.drawn, subject.about)


def frechet_distance(subject: Subject) -> list[Measure]:
    """On the reference classifier's features, or on thumbnails where there are no labels."""
    return [subject.evaluation.images.frechet("test", subject.drawn, subject.about)]


def parzen_log_likelihood(subject: Subject) -> list[Measure]:
    """Of the unseen images under windows on the generated ones."""
    images, limit = subject.evaluation.images, subject.evaluation.limit
    return [images.parzen("test", subject.drawn, subject.about, limit)]


def svm_accuracy(subject: Subject) -> list[Measure]:
    """The discriminator's convolutions as features, beside an untrained one's and raw pixels."""
    return subject.evaluation.features.svm(subject.networks, subject.about)


# --- Points


def modes_found(subject: Subject) -> list[Measure]:
    """Where the dataset knows its modes."""
    shared = subject.evaluation
    return shared.images.all(subject.networks, subject.about, shared.limit)


# --- All of them

OF_CODES = (codes_of_real_images, codes_of_generated_images)
OF_LABELS = (conditional_accuracy,)
OF_PICTURES = (
    frechet_distance,
    parzen_log_likelihood,
    svm_accuracy,
)
OF_POINTS = (modes_found,)


def suited(gan: Gan, dataset: Dataset) -> list[Callable[[Subject], list[Measure]]]:
    """The measures that suit a run, in the order of a report."""
    told_labels = isinstance(gan.condition, Label)
    return [
        *(OF_CODES if gan.q is not None else ()),
        *(OF_LABELS if told_labels and not dataset.points else ()),
        *(OF_POINTS if dataset.points else OF_PICTURES),
    ]


def evaluate(
    runs: Sequence[Run],
    dataset: Dataset,
    limit: int,
    svm_images: int = SVM_IMAGES,
    bar: bool = True,
) -> tuple[list[Measure], dict[str, float]]:
    """Takes every suited measure of some networks of one run, and shows how far it is.

    Args:
      runs: `loading.load_every`'s, at least one.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      svm_images: training images of the linear classifier.
      bar: False for plain lines even on a terminal.

    Returns:
      The measures, and the seconds that each function took in all.
    """
    functions = suited(runs[0].gan, dataset)
    progress = Progress(len(runs) * len(functions), 0, bar, "measure")
    evaluation = Evaluation(runs[0].gan, dataset, limit, svm_images, progress.say)
    found: list[Measure] = []
    last: list[Measure] = []
    seconds = {function.__name__: 0.0 for function in functions}
    try:
        for i, run in enumerate(runs):
            about: dict[str, Any] = {
                "seed": run.run_seed,
                "step": run.step,
                "checkpoint": run.checkpoint,
            }
            if last and (last[0].seed, last[0].step) == (run.run_seed, run.step):
                # The last step is the best one: the same networks.
                found += [dataclasses.replace(measure, **about) for measure in last]
                continue
            last, subject = [], Subject(evaluation, run.networks, about)
            for j, function in enumerate(functions):
                what = f"{function.__name__} of the {run.checkpoint} networks, seed {run.run_seed}"
                progress.show(i * len(functions) + j, what)
                began = time.monotonic()
                last += function(subject)
                seconds[function.__name__] += time.monotonic() - began
            found += last
        progress.show(len(runs) * len(functions), "done", force=True)
    finally:
        progress.close()
    return found, seconds


IDENTITY = ("name", "seed", "step", "checkpoint", "split", "code", "extractor", "extractor_hash")


def merged(old: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a `results.json` with new ones: each takes the place of the row that measures
    the same thing on the same networks, or stands at the end."""
    rows = {tuple(row.get(part) for part in IDENTITY): row for row in old}
    rows |= {tuple(row.get(part) for part in IDENTITY): row for row in new}
    return list(rows.values())
