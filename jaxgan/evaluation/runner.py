"""Computes the metrics of a run: during training, at its end, and for `jaxgan.evaluate`."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.common.progress import Progress
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import registry, selection
from jaxgan.evaluation.context import SVM_IMAGES, EvaluationContext, GeneratedSamples, make_context
from jaxgan.evaluation.feature_metrics import nearest_training_images
from jaxgan.evaluation.features import Extractor
from jaxgan.evaluation.image_metrics import confusion_table
from jaxgan.evaluation.results import MetricResult
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.variables import Networks


class TrainingMetrics:
    """Computes the metrics that a run takes while it trains.

    Args:
      functions: compiled functions of the run's networks.
      dataset: the run's dataset.
      best_by: the metric that chooses the best networks; if it is "none", a classifier is trained
        only for networks conditioned on a label.
      log: called with a line of text before slow work.
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
            functions,
            dataset,
            limit=0,
            classify=best_by != "none",
            log=log,
            classifier_optional=True,
        )
        self._contexts: dict[int, EvaluationContext] = {}

    def at_evaluation(
        self, networks: Networks, about: dict[str, Any], limit: int
    ) -> list[MetricResult]:
        """The cheap metrics, and the one that chooses the best networks, on the validation split.

        Args:
          networks: one seed's networks.
          about: their `seed`, `step` and `checkpoint`.
          limit: number of generated images, and the largest number of real images of each split.
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
        """All but the expensive metrics; arguments as for `at_evaluation`."""
        return self._at_end(GeneratedSamples(self._limited(limit), networks, about))

    def at_end_of_seeds(
        self, seeds: Sequence[tuple[Networks, dict[str, Any]]], limit: int
    ) -> list[MetricResult]:
        """`at_end` of the networks of all seeds, then the rows that compare the seeds' codes.

        Args:
          seeds: networks and `about` of each.
          limit: as for `at_evaluation`.
        """
        rows: list[MetricResult] = []
        codes: list[selection.SeedCodes] = []
        found: list[MetricResult] = []
        for networks, about in seeds:
            # The best networks may be those of the last step.
            if not found or (found[0].seed, found[0].step) != (about["seed"], about["step"]):
                samples = GeneratedSamples(self._limited(limit), networks, about)
                found = self._at_end(samples)
            rows += [dataclasses.replace(row, **about) for row in found]
            if samples.gan.q is not None:
                codes.append(selection.SeedCodes(about, samples.real_codes))
        return rows + selection.compare_seeds(self._context.gan.latent.codes, codes)

    def _at_end(self, samples: GeneratedSamples) -> list[MetricResult]:
        dataset = samples.context.dataset
        metrics = registry.metrics_at_end(samples.gan, dataset)
        if not metrics:
            message = f"{dataset.name}: points around unknown modes; no metric applies to them"
            samples.context.once("no metrics", lambda: self._log(message))
        return [row for metric in metrics for row in metric.function(samples)]

    def _limited(self, limit: int) -> EvaluationContext:
        if limit not in self._contexts:
            self._contexts[limit] = dataclasses.replace(self._context, limit=limit)
        return self._contexts[limit]


class EvaluationResult(NamedTuple):
    """The result of `evaluate`.

    Attributes:
      metrics: the rows of all networks.
      seconds: the total time of each metric, by its function's name.
      neighbours: for each seed some generated images, uint8 [R, H, W, C], and the training images
        nearest to each, uint8 [R, k, H, W, C]; empty for points. They are those of the best
        networks if these were evaluated.
      confusion: for each seed a table of the predicted label against the label of the condition, of
        the same networks; empty for networks that are not conditioned on a label.
      without_rows: the functions of the metrics without any row, for want of
        images, labels or convolutions.
    """

    metrics: list[MetricResult]
    seconds: dict[str, float]
    neighbours: dict[int, tuple[np.ndarray, np.ndarray]]
    confusion: dict[int, str]
    without_rows: tuple[str, ...] = ()


def evaluate(
    runs: Sequence[Run],
    dataset: Dataset,
    limit: int,
    svm_images: int = SVM_IMAGES,
    extractor: Extractor | None = None,
    bar: bool = True,
    names: Sequence[str] = (),
) -> EvaluationResult:
    """Computes every applicable metric of some networks of one run, and shows its progress.

    Args:
      runs: at least one, from `loading.load_every`.
      dataset: the run's dataset.
      limit: number of generated images, and the largest number of real images of each split.
      svm_images: number of training images that the linear probe is fitted on.
      extractor: computes the features for distances; None for `RealFeatures.native_extractor`.
      bar: False for plain lines even on a terminal.
      names: the only metrics to compute, and no figures; empty for all.

    Raises:
      UserError: if a name is not that of an applicable metric.
    """
    gan = runs[0].gan
    metrics = registry.applicable_metrics(gan, dataset)
    if names:
        metrics = registry.select(metrics, names)
    progress = Progress(len(runs) * len(metrics), 0, bar, "metric")
    context = make_context(
        NetworkFunctions(gan), dataset, limit, svm_images, extractor=extractor, log=progress.say
    )
    functions = [metric.function.__name__ for metric in metrics]
    found = EvaluationResult([], dict.fromkeys(functions, 0.0), {}, {})
    last: list[MetricResult] = []
    with_rows: set[str] = set()
    try:
        for i, run in enumerate(runs):
            seed, step, checkpoint = run.run_seed, run.step, run.checkpoint
            about: dict[str, Any] = {"seed": seed, "step": step, "checkpoint": checkpoint}
            of_last = last and (last[0].checkpoint, last[0].seed, last[0].step)
            if checkpoint == "best" and of_last == ("last", seed, step):
                # The best networks are those of the last step.
                found.metrics.extend(dataclasses.replace(row, **about) for row in last)
                continue
            last, samples = [], GeneratedSamples(context, run.networks, about)
            for j, (name, metric) in enumerate(zip(functions, metrics, strict=True)):
                what = f"{name} of the {checkpoint} networks, seed {seed}"
                progress.show(i * len(metrics) + j, what)
                began = time.monotonic()
                rows = metric.function(samples)
                last += rows
                with_rows |= {name} if rows else set()
                found.seconds[name] += time.monotonic() - began
            found.metrics.extend(last)
            if not names:
                _add_figures(samples, seed, found)
        progress.show(len(runs) * len(metrics), "done", force=True)
    finally:
        progress.close()
    without = tuple(name for name in functions if name not in with_rows)
    return found._replace(without_rows=without)


def read_codes(runs: Sequence[Run], dataset: Dataset, limit: int) -> list[selection.SeedCodes]:
    """What the networks of some runs predict for real images, for `selection.compare_seeds`. The
    runs may lie in different folders; their codes and their data must be the same.

    Args:
      runs: InfoGANs, at least one.
      dataset: the runs' dataset.
      limit: the largest number of images of each split.
    """
    context = make_context(runs[0].functions, dataset, limit)
    found = []
    for run in runs:
        about = {"seed": run.run_seed, "step": run.step, "checkpoint": run.checkpoint}
        samples = GeneratedSamples(context, run.networks, about)
        found.append(selection.SeedCodes(about, samples.real_codes))
    return found


def _add_figures(samples: GeneratedSamples, seed: int, found: EvaluationResult) -> None:
    """Adds the images and the table that are shown rather than counted. The best networks follow
    the last ones and replace theirs."""
    if samples.context.dataset.points:
        return
    found.neighbours[seed] = nearest_training_images(samples)
    if isinstance(samples.gan.condition, Label):
        table = confusion_table(samples)
        if table:
            found.confusion[seed] = table
