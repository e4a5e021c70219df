import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.metrics.images.conditional_accuracy import (
    conditional_accuracy,
    confusion,
    confusion_table,
    per_class,
)

REQUESTED = np.array([0, 0, 0, 1, 1, 3])
PREDICTED = np.array([0, 0, 2, 1, 0, 3])


def test_accuracies_by_hand():
    assert conditional_accuracy(REQUESTED, PREDICTED) == pytest.approx(4 / 6)
    np.testing.assert_allclose(per_class(REQUESTED, PREDICTED, 4), [2 / 3, 1 / 2, np.nan, 1])


def test_confusion_rows_are_conditions_and_columns_predictions():
    counts = confusion(REQUESTED, PREDICTED, 4)
    assert counts.tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_confusion_is_scikit_learns_and_its_diagonal_is_the_accuracy(pairs):
    from sklearn.metrics import confusion_matrix

    requested, predicted = np.array(pairs).T
    counts = confusion(requested, predicted, 5)
    assert counts.tolist() == confusion_matrix(requested, predicted, labels=range(5)).tolist()
    assert conditional_accuracy(requested, predicted) == pytest.approx(
        np.trace(counts) / counts.sum()
    )


def test_the_table_lines_up():
    table = confusion_table(confusion(REQUESTED, PREDICTED, 4), ("cat", "dog", "bird", "ox"))
    assert table.splitlines() == [
        "requested \\ predicted  cat  dog  bird  ox  accuracy",
        "cat                      2    0     1   0     66.7%",
        "dog                      1    1     0   0     50.0%",
        "bird                     0    0     0   0         -",
        "ox                       0    0     0   1    100.0%",
    ]


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="\\[N\\]"):
        conditional_accuracy(REQUESTED, PREDICTED[:3])
    with pytest.raises(ValueError, match="no examples"):
        conditional_accuracy(REQUESTED[:0], PREDICTED[:0])
    with pytest.raises(ValueError, match="runs from 0 to 3"):
        confusion(REQUESTED, PREDICTED, 3)
    with pytest.raises(ValueError, match="predicted runs from -1"):
        per_class(REQUESTED, PREDICTED - 1, 4)
    with pytest.raises(ValueError, match="names"):
        confusion_table(confusion(REQUESTED, PREDICTED, 4), ("cat",))
