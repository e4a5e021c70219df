"""How often a conditional generator generates the class that was requested.

Source: in common use since conditional GANs (Mirza and Osindero 2014 only show sample sheets). A
generator is given class y_i, and a classifier (see `classifier`) predicts r_i for its image:

    conditional_accuracy = (1 / N) sum_i [r_i = y_i]

Protocol: as many images of each class. The classifier was trained on real images only; the result
is no better than the classifier, so its name and hash are reported, and its accuracy on real images
is the reference. Fractions in [0, 1]; chance is 1 / classes.
"""

import numpy as np

from jaxgan.common.files import text_table
from jaxgan.metrics.codes.code_accuracy import contingency


def conditional_accuracy(requested: np.ndarray, predicted: np.ndarray) -> float:
    """The fraction of images classified as the class that was requested, in [0, 1].

    Args:
      requested: the classes that the generator was given, int [N].
      predicted: the classes predicted for its images, int [N].

    Raises:
      ValueError: if the two differ in shape or are empty.
    """
    _check(requested, predicted)
    return float(np.mean(requested == predicted))


def per_class(requested: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The same fraction for each class that was requested: float64 [classes], NaN for a class that
    was never requested. Arguments and errors as in `confusion`."""
    counts = confusion(requested, predicted, classes)
    totals = counts.sum(axis=1)
    shares = np.full(classes, np.nan)
    np.divide(np.diagonal(counts), totals, out=shares, where=totals > 0)
    return shares


def confusion(requested: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of each class requested (rows) and predicted (columns): int64 [classes, classes].

    Args:
      requested, predicted: int [N], in [0, classes).
      classes: number of classes.

    Raises:
      ValueError: if the two differ in shape or are empty, or a class is out of range.
    """
    _check(requested, predicted)
    for name, values in (("requested", requested), ("predicted", predicted)):
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(
                f"{name} runs from {values.min()} to {values.max()}, there are {classes} classes"
            )
    return contingency(requested, predicted, classes, classes)


def confusion_table(counts: np.ndarray, names: tuple[str, ...]) -> str:
    """A confusion matrix as text: a row for each class requested, ending with its accuracy ("-" if
    the class was never requested).

    Args:
      counts: int [classes, classes], from `confusion`.
      names: names of the classes.

    Raises:
      ValueError: if the numbers of names, rows and columns differ.
    """
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"counts are {counts.shape} for {len(names)} names")
    lines = [("requested \\ predicted", *names, "accuracy")]
    for i, name in enumerate(names):
        total = counts[i].sum()
        share = f"{counts[i, i] / total:.1%}" if total else "-"
        lines.append((name, *map(str, counts[i]), share))
    return text_table(lines, right=True)


def _check(requested: np.ndarray, predicted: np.ndarray) -> None:
    if requested.shape != predicted.shape or requested.ndim != 1:
        raise ValueError(
            f"requested is {requested.shape}, predicted is {predicted.shape}: both must be [N]"
        )
    if not len(requested):
        raise ValueError("no examples")
