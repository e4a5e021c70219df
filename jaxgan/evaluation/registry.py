"""The metrics, and which of them apply to a run."""

from collections.abc import Callable

from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import code_metrics
from jaxgan.evaluation.context import Subject
from jaxgan.evaluation.factor_metrics import factor_measures
from jaxgan.evaluation.results import Measure
from jaxgan.evaluation.stacked_metrics import stacked_measures
from jaxgan.models.conditions import Label
from jaxgan.training.gan import Gan


def codes_of_real_images(subject: Subject) -> list[Measure]:
    """What Q reads off real images: information, code accuracy, NMI, ARI."""
    shared = subject.evaluation
    return code_metrics.real_measures(
        shared.instruments, subject.networks, shared.dataset, subject.about, shared.limit
    )


def codes_of_generated_images(subject: Subject) -> list[Measure]:
    """What Q reads off generated images: bounds and R^2."""
    shared = subject.evaluation
    return code_metrics.generated_measures(
        shared.instruments, subject.networks, subject.about, shared.limit
    )


def codes_against_factors(subject: Subject) -> list[Measure]:
    """MIG, DCI, the FactorVAE score and R^2, where the factors of the images are known."""
    shared = subject.evaluation
    return factor_measures(
        shared.instruments, subject.networks, shared.dataset, subject.about, shared.limit
    )


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


def modes_found(subject: Subject) -> list[Measure]:
    """Where the dataset knows its modes."""
    shared = subject.evaluation
    return shared.images.all(subject.networks, subject.about, shared.limit)


def tags_of_images(subject: Subject) -> list[Measure]:
    """Precision and recall of generated tags, beside lists that want no GAN."""
    shared = subject.evaluation
    assert shared.tags is not None
    return shared.tags.all(subject.networks, subject.about, shared.limit)


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
