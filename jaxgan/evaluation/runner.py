"""Every measure that suits a trained run, taken after training.

A measure is a function from a `Subject` to its rows, in one of the plain tuples below; another one
is one more line there.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.common.progress import Progress
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation.context import Evaluation, Subject
from jaxgan.evaluation.image_metrics import Extractor
from jaxgan.evaluation.linear_probe import SVM_IMAGES
from jaxgan.evaluation.registry import suited
from jaxgan.evaluation.results import Measure
from jaxgan.inference.trained_run import Run

# --- Codes


# --- Pictures


# --- Points


# --- Word vectors


# --- All of them


class Found(NamedTuple):
    """What an evaluation hands back.

    Attributes:
      measures: of all networks.
      seconds: that each function took in all.
      neighbours: of each seed some generated images, uint8 [R, H, W, C], and the training images
        nearest to each, uint8 [R, k, H, W, C]; empty for points. By the best networks where these
        are among those measured.
      confusion: of each seed, by the same networks, which label is read where which was asked for,
        as a table; empty where none is.
    """

    measures: list[Measure]
    seconds: dict[str, float]
    neighbours: dict[int, tuple[np.ndarray, np.ndarray]]
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
