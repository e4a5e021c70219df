"""Two figures are compared only where they are figures of one kind."""

import re

import pytest

from jaxgan.common.errors import UserError
from jaxgan.evaluation.results import COMPARED_BY, MetricResult, compare, format_table


def row(value=2.0, **changed):
    about = {
        "name": "frechet_distance",
        "unit": "feature units squared",
        "split": "test",
        "seed": 0,
        "step": 100,
        "checkpoint": "last",
        "protocol": "",
        "n_real": 1_000,
        "n_generated": 1_000,
        "extractor": "reference classifier 1 (mnist)",
        "extractor_hash": "0123456789abcdef",
    }
    return MetricResult(value=value, **(about | changed)).as_json()


def test_compares_measures_of_two_runs():
    assert compare(row(3.5), row(2.0, seed=1, step=200, checkpoint="best")) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("name", "kernel_distance"),
        ("code", 1),
        ("unit", "nats"),
        ("split", "validation"),
        ("n_real", 999),
        ("n_generated", 10_000),
        ("extractor", "8x8 thumbnails"),
        ("extractor_hash", "fedcba9876543210"),
        ("extractor_hash", None),
    ],
)
def test_refuses_measures_of_different_kinds_naming_the_key(key, other):
    with pytest.raises(UserError) as raised:
        compare(row(), row(**{key: other}))
    what, remedy = str(raised.value).split("\n")
    assert what.endswith(f"cannot be compared: {key} {row()[key]} and {other}")
    assert "one way" in remedy
    assert key in COMPARED_BY


def test_names_every_key_that_differs():
    with pytest.raises(UserError, match="split test and train, n_real 1000 and 10"):
        compare(row(), row(split="train", n_real=10))


@pytest.mark.parametrize(
    ("split", "n_real", "shown"),
    [
        ("validation", 6, "validation (6 images)"),
        ("generated", 6, "generated (6 real)"),
        ("test", 100, "test"),
        ("generated", 0, "generated"),
    ],
)
def test_a_measure_of_few_images_says_how_many(split, n_real, shown):
    line = format_table([row(split=split, n_real=n_real)]).splitlines()[1]
    assert line.split("  ", 1)[1].strip().split("  ")[0] == shown


def test_measures_of_other_numbers_of_images_are_not_averaged():
    rows = [row(value=2.0), row(seed=1, value=4.0), row(seed=2, value=40.0, n_real=10)]
    lines = format_table(rows).splitlines()[1:]
    assert [re.search(r"\d+\.0000", line)[0] for line in lines] == ["3.0000", "40.0000"]


def test_columns_that_would_tell_nothing_are_left_out():
    def head(*rows):
        return format_table(list(rows)).splitlines()[0].split()

    assert head(row()) == ["measure", "split", "checkpoint", "value", "reference", "unit"]
    assert head(row(), row(name="nmi", code=0))[1] == "code"
    assert head(row(), row(seed=1))[-1] == "seeds"
