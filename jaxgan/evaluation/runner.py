"""Takes the metrics of a run: while it trains, at its end, and by `jaxgan.evaluate`."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.common.progress import Progress
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import registry
from jaxgan.evaluation.context import (
    SVM_IMAGES,
    EvaluationContext,
    GeneratedSamples,
    make_context,
)
from jaxgan.evaluation.feature_metrics import nearest_training_images
from jaxgan.evaluation.features import Extractor
from jaxgan.evaluation.image_metrics import confusion_table
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.variables import Networks


class TrainingMetrics:
    """The metrics that a training takes.

    Args:
      functions: the run's compiled functions.
      dataset: of the run.
      best_by: the metric that chooses the best networks; with "none" no classifier is trained
        except for a run that is conditioned on labels.
      log: called with a line before anything slow.
    """

    def __init__(
        self,
        functions: NetworkFunctions,
        dataset: Dataset,
        best_by: str,
        log: Callable[[str], None] = print,
    ) -> None:
        self.best_by = best_by
        self._log = log
        self._context = make_context(
            functions, dataset, limit=0, classify=best_by != "none", log=log
        )
        self._contexts: dict[int, EvaluationContext] = {}

    def at_evaluation(
        self, networks: Networks, about: dict[str, Any], limit: int
    ) -> list[MetricResult]:
        """The cheap metrics, and the one that chooses the best networks, on the validation split.

        Args:
          networks: of one seed.
          about: its `seed`, `step` and `checkpoint`.
          limit: the number of generated images, and the most of each split.
        """
        samples = GeneratedSamples(self._limited(limit), networks, about, "validation")
        metrics = registry.applicable_metrics(samples.gan, samples.context.dataset)
        results: list[MetricResult] = []
        for metric in metrics:
            if metric.taken is registry.Taken.EVALUATION:
                results += metric.function(samples)
        chooses = self.best_by != "none" and registry.metric_named(self.best_by)
        if chooses and chooses.taken is not registry.Taken.EVALUATION:
            results += [row for row in chooses.function(samples) if row.name == self.best_by]
        return results

    def at_end(self, networks: Networks, about: dict[str, Any], limit: int) -> list[MetricResult]:
        """All but the expensive metrics of one seed's networks; arguments as `at_evaluation`."""
        samples = GeneratedSamples(self._limited(limit), networks, about)
        dataset = samples.context.dataset
        metrics = registry.metrics_at_end(samples.gan, dataset)
        if not metrics:
            samples.context.once("said", lambda: self._log(f"{dataset.name}: {_NO_METRICS}"))
        return [row for metric in metrics for row in metric.function(samples)]

    def _limited(self, limit: int) -> EvaluationContext:
        if limit not in self._contexts:
            self._contexts[limit] = dataclasses.replace(self._context, limit=limit)
        return self._contexts[limit]


_NO_METRICS = "points around unknown modes; no metric applies to them"


class EvaluationResult(NamedTuple):
    """What `evaluate` returns.

    Attributes:
      metrics: the rows of all networks.
      seconds: that each metric took in all, by its function's name.
      neighbours: of each seed some generated images, uint8 [R, H, W, C], and the training images
        nearest to each, uint8 [R, k, H, W, C]; empty for points. By the best networks where these
        are among those measured.
      confusion: of each seed, by the same networks, which label is read where which was the
        condition, as a table; empty for a run without labels as its condition.
    """

    metrics: list[MetricResult]
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
) -> EvaluationResult:
    """Takes every applicable metric of some networks of one run, and shows its progress.

    Args:
      runs: from `trained_run.load_every`, at least one.
      dataset: of the run.
      limit: the number of generated images, and the most of each split.
      svm_images: training images that the linear probe is fitted on.
      extractor: of the distances; None is the dataset's reference classifier.
      bar: False for plain lines even on a terminal.
    """
    gan = runs[0].gan
    metrics = registry.applicable_metrics(gan, dataset)
    progress = Progress(len(runs) * len(metrics), 0, bar, "metric")
    context = make_context(
        NetworkFunctions(gan), dataset, limit, svm_images, extractor=extractor, log=progress.say
    )
    found = EvaluationResult([], {metric.function.__name__: 0.0 for metric in metrics}, {}, {})
    last: list[MetricResult] = []
    try:
        for i, run in enumerate(runs):
            about: dict[str, Any] = {
                "seed": run.run_seed,
                "step": run.step,
                "checkpoint": run.checkpoint,
            }
            if last and (last[0].seed, last[0].step) == (run.run_seed, run.step):
                # The last step is the best one: the same networks.
                found.metrics.extend(dataclasses.replace(row, **about) for row in last)
                continue
            last, samples = [], GeneratedSamples(context, run.networks, about)
            for j, metric in enumerate(metrics):
                name = metric.function.__name__
                what = f"{name} of the {run.checkpoint} networks, seed {run.run_seed}"
                progress.show(i * len(metrics) + j, what)
                began = time.monotonic()
                last += metric.function(samples)
                found.seconds[name] += time.monotonic() - began
            found.metrics.extend(last)
            _add_figures(samples, run.run_seed, found)
        progress.show(len(runs) * len(metrics), "done", force=True)
    finally:
        progress.close()
    return found


def _add_figures(samples: GeneratedSamples, seed: int, found: EvaluationResult) -> None:
    """Adds what is looked at rather than counted. The best networks come after the last, and
    replace them."""
    if samples.context.dataset.points:
        return
    found.neighbours[seed] = nearest_training_images(samples)
    if isinstance(samples.gan.condition, Label):
        table = confusion_table(samples)
        if table:
            found.confusion[seed] = table
