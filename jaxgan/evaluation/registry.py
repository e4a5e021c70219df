"""The table of metrics: what each one needs, which direction is better, and when it is taken.

Training, `jaxgan.evaluate`, the choice of the best networks (`best_by`), `experiments/search.py`
and docs/reference.md follow it. To add a metric, write a function of `GeneratedSamples` and add a
row here.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import code_metrics as codes
from jaxgan.evaluation import factor_metrics as factors
from jaxgan.evaluation import feature_metrics as features
from jaxgan.evaluation import image_metrics as images
from jaxgan.evaluation import linear_probe as probe
from jaxgan.evaluation import stacked_metrics as stacked
from jaxgan.evaluation import tag_metrics as tags
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
    """The first occasion at which a metric is computed; it is computed at those below as well."""

    EVALUATION = "at every evaluation during training"
    END = "at the end of training"
    # Runs with codes skip these at their end, mainly because two of them would train a classifier.
    END_WITHOUT_CODES = "at the end of training without codes"
    COMMAND = "by jaxgan.evaluate"


class Property(enum.Enum):
    """A property of a run that a metric may need."""

    CODES = "codes that Q predicts"
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
      function: from samples to rows of results.json; [] if images, labels or classes are too few.
      names: the names of those rows, each with the better direction. A name may be followed by a
        variant: `mig_rotation`, `svm_accuracy_pixels`.
      needs: properties that the run must have.
      taken: the first occasion at which it is computed.
    """

    function: Callable[[GeneratedSamples], list[MetricResult]]
    names: dict[str, Better]
    needs: set[Property]
    taken: Taken


def _higher(*names: str) -> dict[str, Better]:
    return dict.fromkeys(names, Better.HIGHER)


_LOWER, _REFERENCE, _CHANCE = Better.LOWER, Better.REFERENCE, Better.CHANCE
_CODES, _IMAGES, _TAGS = {Property.CODES}, {Property.IMAGES}, {Property.TAGS}
_LABEL = {Property.IMAGES, Property.LABEL_CONDITION}
_DCI = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
_EVALUATION, _END, _NO_CODES, _COMMAND = Taken

# Function, names, needs, taken; in the order of results.json.
METRICS = (
    Metric(
        codes.codes_of_real_images,
        _higher("code_information", "code_accuracy", "code_accuracy_many_to_one", "nmi", "ari"),
        _CODES,
        _EVALUATION,
    ),
    Metric(codes.codes_of_generated_images, _higher("information_bound", "code_r2"), _CODES, _END),
    Metric(
        factors.codes_against_factors,
        _higher("mig", *_DCI, "factor_vae_score", "factor_r2"),
        {Property.CODES, Property.FACTORS},
        _END,
    ),
    Metric(images.conditional_accuracy, _higher("conditional_accuracy"), _LABEL, _NO_CODES),
    Metric(features.nearest_neighbour_error, {"nearest_neighbour_error": _LOWER}, _LABEL, _COMMAND),
    Metric(images.pairwise_distance, {"pairwise_distance": _REFERENCE}, _IMAGES, _END),
    Metric(images.frechet_distance, {"frechet_distance": _LOWER}, _IMAGES, _NO_CODES),
    Metric(features.kernel_distance, {"kernel_distance": _LOWER}, _IMAGES, _COMMAND),
    Metric(features.precision_and_recall, _higher("precision", "recall"), _IMAGES, _COMMAND),
    Metric(features.density_and_coverage, _higher("density", "coverage"), _IMAGES, _COMMAND),
    Metric(features.two_sample_accuracy, {"two_sample_accuracy": _CHANCE}, _IMAGES, _COMMAND),
    Metric(features.class_score, _higher("class_score"), _IMAGES, _COMMAND),
    Metric(
        features.memorisation,
        {"memorisation": _REFERENCE, "memorisation_closer": _REFERENCE},
        _IMAGES,
        _COMMAND,
    ),
    Metric(images.parzen_log_likelihood, _higher("parzen_log_likelihood"), _IMAGES, _NO_CODES),
    Metric(probe.svm_accuracy, _higher("svm_accuracy"), {Property.SINGLE_IMAGES}, _COMMAND),
    Metric(
        stacked.modes_of_stacked_digits,
        {"stacked_modes": Better.HIGHER, "stacked_kl": _LOWER},
        {Property.STACKED_IMAGES},
        _END,
    ),
    Metric(images.modes_found, _higher("modes_found"), {Property.MODES}, _NO_CODES),
    Metric(tags.tags_of_images, _higher("tag_precision", "tag_recall"), _TAGS, _END),
    Metric(tags.tags_without_a_gan, _higher("tag_precision", "tag_recall"), _TAGS, _END),
)

# Rows that compare the seeds of a run (`evaluation.selection`).
OF_SEEDS = _higher("seed_information", "seed_agreement", "consensus_code_accuracy")


def properties(dataset: Dataset, gan: Gan | None = None) -> set[Property]:
    """The properties of a run; without `gan`, those of its dataset."""
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


def select(metrics: Sequence[Metric], names: Iterable[str]) -> list[Metric]:
    """Those of some metrics that report one of the names, which have no variant at their end.

    Raises:
      UserError: if none of them reports a name.
    """
    functions = set()
    for name in names:
        known = [metric for metric in metrics if name in metric.names]
        if name in OF_SEEDS:
            what = f"{name!r} is measured at the end of training alone, over its seeds"
            raise UserError(what, "leave it out; results.json has it if the run has several seeds")
        if not known:
            every = ", ".join(dict.fromkeys(name for metric in metrics for name in metric.names))
            raise UserError(f"{name!r} is no metric of this run", f"choose among {every}")
        functions |= {metric.function for metric in known}
    return [metric for metric in metrics if metric.function in functions]


def metrics_at_end(gan: Gan, dataset: Dataset) -> list[Metric]:
    """The metrics that training itself takes at its end."""
    taken = {Taken.EVALUATION, Taken.END}
    if gan.q is None:
        taken.add(Taken.END_WITHOUT_CODES)
    return [metric for metric in applicable_metrics(gan, dataset) if metric.taken in taken]


def metric_named(name: str) -> Metric:
    """The metric that reports a name.

    Raises:
      KeyError: if there is none.
    """
    for metric in METRICS:
        if name in metric.names:
            return metric
    raise KeyError(name)


def better(name: str) -> Better | None:
    """The better direction of a name in `results.json`, with or without a variant at its end; None
    of a name that is not known, such as an older version's."""
    known = {x: y for metric in METRICS for x, y in metric.names.items()} | OF_SEEDS
    parts = name.split("_")
    heads = ("_".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((known[head] for head in heads if head in known), None)


def check_best_by(best_by: str, dataset: Dataset) -> None:
    """Raises UserError if the metric `best_by` cannot be computed from the dataset."""
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
    """The score that chooses the best networks: the sum of the rows of `best_by`, negated if lower
    is better; NaN without such a row. It depends on no test label."""
    values = [result.value for result in results if result.name == best_by]
    if not values:
        return float("nan")
    lower = metric_named(best_by).names[best_by] is Better.LOWER
    return -sum(values) if lower else sum(values)
