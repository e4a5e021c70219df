"""The table of metrics: what each one needs, which way is better, and when it is taken.

Training, `jaxgan.evaluate`, the choice of the best networks (`best_by`), `experiments/search.py`
and docs/reference.md follow it. A new metric is a function of `GeneratedSamples` and a row here.
"""

import enum
from collections.abc import Callable, Iterable
from typing import NamedTuple

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import (
    code_metrics,
    factor_metrics,
    feature_metrics,
    image_metrics,
    linear_probe,
    stacked_metrics,
    tag_metrics,
)
from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.models.conditions import Label
from jaxgan.training.gan import Gan


class Better(enum.Enum):
    """Which value a good generator has."""

    HIGHER = "higher"
    LOWER = "lower"
    REFERENCE = "near the reference"
    CHANCE = "near 0.5"


class Taken(enum.Enum):
    """The cheapest occasion at which a metric is taken; at the later ones it is taken too."""

    EVALUATION = "at every evaluation of a training"
    END = "at the end of a training"
    END_WITHOUT_CODES = "at the end of a training without codes"  # Elsewhere: a classifier's cost.
    COMMAND = "by jaxgan.evaluate"


class Property(enum.Enum):
    """What a run has, and a metric may need."""

    CODES = "codes that Q reads"
    FACTORS = "images drawn from known factors"
    LABEL_CONDITION = "networks conditioned on a label"
    IMAGES = "images"
    SINGLE_IMAGES = "images that are not stacked"
    STACKED_IMAGES = "stacked images"
    MODES = "points around known modes"
    TAGS = "tags of images"


class Metric(NamedTuple):
    """One row of the table.

    Attributes:
      function: from samples to the rows of results.json; [] where there are too few images, labels
        or classes.
      names: of the rows, each with the better direction. A name may be followed by a variant:
        `mig_rotation`, `svm_accuracy_pixels`.
      needs: properties of the run.
      taken: when.
    """

    function: Callable[[GeneratedSamples], list[MetricResult]]
    names: dict[str, Better]
    needs: set[Property]
    taken: Taken


def _all(better: Better, *names: str) -> dict[str, Better]:
    return dict.fromkeys(names, better)


_HIGHER, _LOWER = Better.HIGHER, Better.LOWER
_IMAGES, _CODES, _TAGS = {Property.IMAGES}, {Property.CODES}, {Property.TAGS}
_LABELLED = {Property.IMAGES, Property.LABEL_CONDITION}

# In the order of results.json: function, names, needs, taken.
METRICS = (
    Metric(
        code_metrics.codes_of_real_images,
        _all(
            _HIGHER, "code_information", "code_accuracy", "code_accuracy_many_to_one", "nmi", "ari"
        ),
        _CODES,
        Taken.EVALUATION,
    ),
    Metric(
        code_metrics.codes_of_generated_images,
        _all(_HIGHER, "information_bound", "code_r2"),
        _CODES,
        Taken.END,
    ),
    Metric(
        factor_metrics.codes_against_factors,
        _all(
            _HIGHER,
            *("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness"),
            *("factor_vae_score", "factor_r2"),
        ),
        {Property.CODES, Property.FACTORS},
        Taken.END,
    ),
    Metric(
        image_metrics.conditional_accuracy,
        {"conditional_accuracy": _HIGHER},
        _LABELLED,
        Taken.END_WITHOUT_CODES,
    ),
    Metric(
        feature_metrics.nearest_neighbour_error,
        {"nearest_neighbour_error": _LOWER},
        _LABELLED,
        Taken.COMMAND,
    ),
    Metric(
        image_metrics.frechet_distance,
        {"frechet_distance": _LOWER},
        _IMAGES,
        Taken.END_WITHOUT_CODES,
    ),
    Metric(feature_metrics.kernel_distance, {"kernel_distance": _LOWER}, _IMAGES, Taken.COMMAND),
    Metric(
        feature_metrics.precision_and_recall,
        _all(_HIGHER, "precision", "recall"),
        _IMAGES,
        Taken.COMMAND,
    ),
    Metric(
        feature_metrics.density_and_coverage,
        _all(_HIGHER, "density", "coverage"),
        _IMAGES,
        Taken.COMMAND,
    ),
    Metric(
        feature_metrics.two_sample_accuracy,
        {"two_sample_accuracy": Better.CHANCE},
        _IMAGES,
        Taken.COMMAND,
    ),
    Metric(feature_metrics.class_score, {"class_score": _HIGHER}, _IMAGES, Taken.COMMAND),
    Metric(
        feature_metrics.memorisation,
        _all(Better.REFERENCE, "memorisation", "memorisation_closer"),
        _IMAGES,
        Taken.COMMAND,
    ),
    Metric(
        image_metrics.parzen_log_likelihood,
        {"parzen_log_likelihood": _HIGHER},
        _IMAGES,
        Taken.END_WITHOUT_CODES,
    ),
    Metric(
        linear_probe.svm_accuracy,
        {"svm_accuracy": _HIGHER},
        {Property.SINGLE_IMAGES},
        Taken.COMMAND,
    ),
    Metric(
        stacked_metrics.modes_of_stacked_digits,
        {"stacked_modes": _HIGHER, "stacked_kl": _LOWER},
        {Property.STACKED_IMAGES},
        Taken.END,
    ),
    Metric(
        image_metrics.modes_found,
        {"modes_found": _HIGHER},
        {Property.MODES},
        Taken.END_WITHOUT_CODES,
    ),
    Metric(
        tag_metrics.tags_of_images, _all(_HIGHER, "tag_precision", "tag_recall"), _TAGS, Taken.END
    ),
    Metric(
        tag_metrics.tags_without_a_gan,
        _all(_HIGHER, "tag_precision", "tag_recall"),
        _TAGS,
        Taken.END,
    ),
)


def properties(dataset: Dataset, gan: Gan | None = None) -> set[Property]:
    """What a run has; without `gan`, what its dataset has."""
    found = set()
    if gan is not None and gan.q is not None:
        found.add(Property.CODES)
    if gan is not None and isinstance(gan.condition, Label):
        found.add(Property.LABEL_CONDITION)
    if dataset.factors:
        found.add(Property.FACTORS)
    if dataset.tags is not None:
        found.add(Property.TAGS)
    elif dataset.points:
        found |= {Property.MODES} if dataset.modes is not None else set()
    else:
        found.add(Property.IMAGES)
        single = dataset.stacked is None
        found.add(Property.SINGLE_IMAGES if single else Property.STACKED_IMAGES)
    return found


def applicable_metrics(gan: Gan, dataset: Dataset) -> list[Metric]:
    """All metrics of a run, in the order of results.json."""
    present = properties(dataset, gan)
    return [metric for metric in METRICS if metric.needs <= present]


def metrics_at_end(gan: Gan, dataset: Dataset) -> list[Metric]:
    """Those that training itself takes at its end."""
    taken = {Taken.EVALUATION, Taken.END}
    if gan.q is None:
        taken.add(Taken.END_WITHOUT_CODES)
    return [metric for metric in applicable_metrics(gan, dataset) if metric.taken in taken]


def metric_named(name: str) -> Metric:
    """The metric that reports a name, which may be followed by a variant.

    Raises:
      KeyError: if there is none.
    """
    for metric in METRICS:
        if name in metric.names:
            return metric
    for metric in METRICS:
        if any(name.startswith(f"{known}_") for known in metric.names):
            return metric
    raise KeyError(name)


def check_best_by(best_by: str, dataset: Dataset) -> None:
    """Raises UserError if the metric that chooses the best networks does not suit the data."""
    if best_by == "none":
        return
    needs, present = metric_named(best_by).needs, properties(dataset)
    if dataset.points and Property.IMAGES in needs - present:
        raise UserError(
            f"best_by={best_by}: {dataset.name} holds {dataset.train.images.dtype} points, and this"
            " is a metric of uint8 images",
            "choose best_by=none",
        )
    if Property.TAGS in needs - present:
        raise UserError(
            f"best_by={best_by}: {dataset.name} has no images with tags", "choose best_by=none"
        )


def score(best_by: str, results: Iterable[MetricResult]) -> float:
    """What the best networks are chosen by: higher is better, and no test label enters. Summed over
    the codes that report it; NaN where nothing does."""
    values = [result.value for result in results if result.name == best_by]
    if not values:
        return float("nan")
    lower = metric_named(best_by).names[best_by] is Better.LOWER
    return -sum(values) if lower else sum(values)
