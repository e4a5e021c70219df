"""How often a conditional generator generates the class that it was asked for.

Source: in common use since conditional GANs (Mirza and Osindero 2014 only show sample sheets). A
generator is asked for class y_i, and a classifier (see `classifier`) predicts r_i for its image:

    conditional_accuracy = (1 / N) sum_i [r_i = y_i]

Protocol: as many images of each class. The classifier was trained on real images only; the result
is no better than the classifier, so its name and hash are reported, and its accuracy on real images
is the reference. Fractions in [0, 1]; chance is 1 / classes.
"""

import numpy as np

from jaxgan.common.files import text_table


def conditional_accuracy(asked: np.ndarray, read: np.ndarray) -> float:
    """The fraction of images classified as the class that was asked for, in [0, 1].

    Args:
      asked: the classes that the generator was given, int [N].
      read: the classes predicted for its images, int [N].

    Raises:
      ValueError: if the two differ in shape or are empty.
    """
    _check(asked, read)
    return float(np.mean(asked == read))


def per_class(asked: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """The same fraction for each class that was asked for: float64 [classes], NaN for a class that
    was never asked for. Arguments and errors as in `confusion`."""
    counts = confusion(asked, read, classes)
    totals = counts.sum(axis=1)
    shares = np.full(classes, np.nan)
    np.divide(np.diagonal(counts), totals, out=shares, where=totals > 0)
    return shares


def confusion(asked: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """Counts of each class asked for (rows) and predicted (columns): int64 [classes, classes].

    Args:
      asked, read: int [N], in [0, classes).
      classes: number of classes.

    Raises:
      ValueError: if the two differ in shape or are empty, or a class is out of range.
    """
    _check(asked, read)
    for name, values in (("asked", asked), ("read", read)):
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(
                f"{name} runs from {values.min()} to {values.max()}, there are {classes} classes"
            )
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (asked, read), 1)
    return counts


def confusion_table(counts: np.ndarray, names: tuple[str, ...]) -> str:
    """A confusion matrix as text: a row for each class asked for, ending with its accuracy ("-" if
    the class was never asked for).

    Args:
      counts: int [classes, classes], from `confusion`.
      names: names of the classes.

    Raises:
      ValueError: if the numbers of names, rows and columns differ.
    """
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"counts are {counts.shape} for {len(names)} names")
    lines = [("asked \\ read", *names, "right")]
    for i, name in enumerate(names):
        total = counts[i].sum()
        share = f"{counts[i, i] / total:.1%}" if total else "-"
        lines.append((name, *map(str, counts[i]), share))
    return text_table(lines, right=True)


def _check(asked: np.ndarray, read: np.ndarray) -> None:
    if asked.shape != read.shape or asked.ndim != 1:
        raise ValueError(f"asked is {asked.shape}, read is {read.shape}: both must be [N]")
    if not len(asked):
        raise ValueError("no examples")
