"""Every measure that suits a trained run, taken after training.

A measure is a function from a `Subject` to its rows, in one of the plain tuples below; another one
is one more line there.
"""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan import code_measures
from jaxgan.conditions import Label
from jaxgan.data.dataset import Dataset, Split
from jaxgan.image_measures import ImageMeasures
from jaxgan.loading import Run
from jaxgan.metrics import discriminator_features
from jaxgan.metrics.measure import Measure
from jaxgan.reading import Instruments
from jaxgan.rng import stream
from jaxgan.state import Gan, Networks, initialise, networks
from jaxgan.writers import Progress

# Training images of the linear classifier on the discriminator's features, and of each class where
# labels are few.
SVM_IMAGES, SVM_EACH = 2_000, 100


class Evaluation:
    """What all networks of a run are measured with: made once, kept for the next ones.

    Args:
      gan: the rules.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      say: told what takes long.
    """

    def __init__(
        self, gan: Gan, dataset: Dataset, limit: int, say: Callable[[str], None] = print
    ) -> None:
        self.gan, self.dataset, self.limit = gan, dataset, limit
        self.instruments = Instruments(gan)
        self.images = ImageMeasures(self.instruments, dataset, say)
        self.features = discriminator_features.Reader(gan)
        self._kept: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` made the first time it was asked for by this key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


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
    """The discriminator's convolutions as features, beside an untrained one's and raw pixels; []
    where it is told the label or a part of the image, has no convolution, or there are no labels.
    """
    gan, dataset = subject.evaluation.gan, subject.evaluation.dataset
    classes = dataset.classes
    if gan.condition is not None or len(classes) < 2 or subject.real.labels is None:
        return []
    draw = np.random.default_rng(subject.about["seed"])
    order = draw.permutation(len(dataset.train))
    found = _svm_rows(subject, "svm_accuracy", order[:SVM_IMAGES])
    assert dataset.train.labels is not None
    of_each = [order[dataset.train.labels[order] == label][:SVM_EACH] for label in classes]
    if min(map(len, of_each)) == SVM_EACH:
        few = draw.permutation(np.concatenate(of_each))
        found += _svm_rows(subject, f"svm_accuracy_{len(few)}_labels", few)
    return found


def _svm_rows(subject: Subject, name: str, places: np.ndarray) -> list[Measure]:
    shared, about = subject.evaluation, subject.about
    train = shared.dataset.train.take(places).first(len(places))
    test = subject.real.first(shared.limit)
    seed = about["seed"]
    state = shared.once(("fresh", seed), lambda: _untrained(shared.gan, seed))

    def read(key: Any, networks: Networks | None) -> discriminator_features.Reading | None:
        return shared.once((name, seed, *key), lambda: _svm_reading(shared, networks, train, test))

    trained = read((about["checkpoint"],), subject.networks)
    if trained is None:
        return []
    rows = (
        ("", "discriminator", trained),
        ("_untrained", "untrained discriminator", read(("untrained",), state)),
        ("_pixels", "pixels", read(("pixels",), None)),
    )
    return [
        Measure(
            name + ending,
            reading.accuracy,
            "share",
            subject.split,
            n_real=len(test),
            extractor=extractor,
            protocol=f"L2-SVM on {len(train)} training images (seed {seed}), C {reading.c:g} chosen"
            " on a fifth of them; features standardised; convolutions max-pooled to 4x4,"
            " BatchNorm's statistics re-estimated on these images",
            **about,
        )
        for ending, extractor, reading in rows
        if reading is not None
    ]


def _untrained(gan: Gan, seed: int) -> Networks:
    key = stream(jax.random.key(seed), "evaluate/untrained")
    return networks(jax.jit(lambda: initialise(gan, key))())


def _svm_reading(
    shared: Evaluation, networks: Networks | None, train: Split, test: Split
) -> discriminator_features.Reading | None:
    """On a discriminator's features, or on pixels without one; None without convolutions."""
    assert train.labels is not None
    assert test.labels is not None
    if networks is None:
        x, unseen = (s.images.reshape(len(s), -1) / np.float32(255) for s in (train, test))
    else:
        still = shared.instruments.discriminator_statistics(networks.discriminator, train.images)
        x, unseen = (shared.features(still, s.images) for s in (train, test))
    if not x.shape[1]:
        return None
    return discriminator_features.svm_accuracy(x, train.labels, unseen, test.labels)


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
    runs: Sequence[Run], dataset: Dataset, limit: int, bar: bool = True
) -> tuple[list[Measure], dict[str, float]]:
    """Takes every suited measure of some networks of one run, and shows how far it is.

    Args:
      runs: `loading.load_every`'s, at least one.
      dataset: the run's.
      limit: at most so many generated images, and of each split.
      bar: False for plain lines even on a terminal.

    Returns:
      The measures, and the seconds that each function took in all.
    """
    functions = suited(runs[0].gan, dataset)
    progress = Progress(len(runs) * len(functions), 0, bar, "measure")
    evaluation = Evaluation(runs[0].gan, dataset, limit, progress.say)
    found: list[Measure] = []
    seconds = {function.__name__: 0.0 for function in functions}
    try:
        for i, run in enumerate(runs):
            about = {"seed": run.run_seed, "step": run.step, "checkpoint": run.checkpoint}
            subject = Subject(evaluation, run.networks, about)
            for j, function in enumerate(functions):
                what = f"{function.__name__} of the {run.checkpoint} networks, seed {run.run_seed}"
                progress.show(i * len(functions) + j, what)
                began = time.monotonic()
                found += function(subject)
                seconds[function.__name__] += time.monotonic() - began
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
