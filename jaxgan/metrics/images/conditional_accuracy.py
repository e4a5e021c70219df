"""How far a conditional generator draws what it was asked for.

Source: in common use since conditional GANs (Mirza and Osindero 2014 show only sheets). It
is as good as its reader, whose name and hash are therefore reported.

A generator is asked for class y_i, and a reader (see `classifier`) names the class r_i that it
sees in the image that came:

    conditional_accuracy = (1 / N) sum_i [r_i = y_i]

Protocol: as many images of each class; the reader was trained on real images only, and its own
accuracy on real images, which bounds what the metric can resolve, is its reference.
Units: shares in [0, 1]; chance is 1 / classes.
"""

import numpy as np

from jaxgan.common.files import text_table


def conditional_accuracy(asked: np.ndarray, read: np.ndarray) -> float:
    """The share of images that are read as the class that was asked for, in [0, 1].

    Args:
      asked: the classes that the generator was given, int [N].
      read: the classes that were read off its images, int [N].

    Raises:
      ValueError: if the two differ in shape or are empty.
    """
    _check(asked, read)
    return float(np.mean(asked == read))


def per_class(asked: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """The same share for each class that was asked for.

    Args:
      asked, read: int [N], in [0, classes).
      classes: how many there are.

    Returns:
      float64 [classes]; NaN for a class that was never asked for.

    Raises:
      ValueError: as `confusion`.
    """
    counts = confusion(asked, read, classes)
    totals = counts.sum(axis=1)
    shares = np.full(classes, np.nan)
    np.divide(np.diagonal(counts), totals, out=shares, where=totals > 0)
    return shares


def confusion(asked: np.ndarray, read: np.ndarray, classes: int) -> np.ndarray:
    """How often each class was asked for (rows) and each was read (columns).

    Args:
      asked, read: int [N], in [0, classes).
      classes: how many there are.

    Returns:
      int64 [classes, classes].

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
    """A confusion matrix as text: a row for each class asked for, its share read rightly at the
    end of the row ("-" where it was never asked for).

    Args:
      counts: from `confusion`, int [classes, classes].
      names: of the classes.

    Raises:
      ValueError: if there are not as many names as rows and columns.
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
        raise ValueError(f"asked is {asked.shape}, read is {read.shape}: both are to be [N]")
    if not len(asked):
        raise ValueError("no examples")
