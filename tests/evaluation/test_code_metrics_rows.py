"""The rows of a run's codes, and the score that chooses the best networks."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from small_networks import small_infogan

from jaxgan.data.sources import digits
from jaxgan.evaluation.code_metrics import codes_of_real_images, compare_with_labels
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.registry import score
from jaxgan.evaluation.results import MetricResult, format_table
from jaxgan.evaluation.runner import TrainingMetrics
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.training.state import initialise
from jaxgan.training.state import networks as state_networks


def test_the_score_adds_up_the_codes():
    about = {"split": "validation", "seed": 0, "step": 1, "checkpoint": "last", "protocol": ""}
    rows = [
        MetricResult("code_information", 1.5, "nats", code=0, **about),
        MetricResult("code_information", 0.25, "nats", code=1, **about),
        MetricResult("code_accuracy", 0.9, "share", code=0, **about),
    ]
    assert score("code_information", rows) == pytest.approx(1.75)
    assert math.isnan(score("code_information", rows[2:]))


def test_the_table_averages_over_seeds():
    about = {"unit": "share", "split": "test", "step": 9, "checkpoint": "last", "protocol": ""}
    rows = [MetricResult("nmi", v, seed=s, **about).as_json() for s, v in enumerate((0.5, 0.7))]
    line = format_table(rows).splitlines()[1]
    # Student: 12.706 with one degree of freedom, times .1414 / sqrt(2).
    assert "0.6000 ± 1.2706 (0.5000 to 0.7000)" in line
    assert "last, step 9" in line


@pytest.fixture(scope="module")
def networks():
    gan = small_infogan()
    state = jax.jit(lambda: initialise(gan, jax.random.key(0)))()
    return NetworkFunctions(gan), state_networks(state)


ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}
SPLITS = ("train", "validation", "test")


def measured(networks, dataset):
    functions, of_run = networks
    context = make_context(functions, dataset, 100)
    rows = codes_of_real_images(GeneratedSamples(context, of_run, ABOUT))
    return rows, {(row.name, row.split): row.value for row in rows}


def test_the_score_that_picks_the_best_sees_no_label(networks):
    dataset = digits.load(8)
    shuffled = np.random.default_rng(0).permutation

    def relabelled(split):
        return dataclasses.replace(split, labels=shuffled(split.labels))

    other = dataclasses.replace(
        dataset,
        train=relabelled(dataset.train),
        validation=relabelled(dataset.validation),
        test=relabelled(dataset.test),
    )
    (rows, values), (other_rows, other_values) = (measured(networks, d) for d in (dataset, other))
    # The same program on the same images.
    assert score("code_information", rows) == score("code_information", other_rows)
    assert values["nmi", "test"] != other_values["nmi", "test"]


def test_a_missing_split_is_replaced_and_named(networks):
    dataset = digits.load(8)
    empty = dataset.test.first(0)
    _, values = measured(networks, dataclasses.replace(dataset, test=empty))
    assert ("code_accuracy", "validation") in values
    _, values = measured(networks, dataclasses.replace(dataset, test=empty, validation=empty))
    assert {split for _, split in values} == {"train"}


def test_the_matching_is_fitted_on_the_training_split():
    """In it each code is the digit of its number; in the test split another one's."""
    labels = np.repeat(np.arange(10), 5)
    measured = compare_with_labels(labels, labels, (labels + 1) % 10, labels, 10)
    values = {name: value for name, value, _, _ in measured}
    assert values["code_accuracy"] == values["code_accuracy_many_to_one"] == 0
    assert values["nmi"] == pytest.approx(1)


def test_real_codes_are_read_with_statistics_of_training_images(networks, monkeypatch):
    recalibrated, read = [], []
    recalibrate, predict = NetworkFunctions.recalibrate_batch_norm, NetworkFunctions.predict_codes

    def noting(self, discriminator, q, images):
        found = recalibrate(self, discriminator, q, images)
        recalibrated.append((images, found))
        return found

    def reading(self, discriminator, q, images):
        read.append((discriminator, q))
        return predict(self, discriminator, q, images)

    monkeypatch.setattr(NetworkFunctions, "recalibrate_batch_norm", noting)
    monkeypatch.setattr(NetworkFunctions, "predict_codes", reading)
    dataset = digits.load(8)
    measured(networks, dataset)
    [(images, found)] = recalibrated
    np.testing.assert_array_equal(images, dataset.train.images[:100])
    assert len(read) == 3
    assert all(one is other for pair in read for one, other in zip(pair, found, strict=True))


@pytest.mark.parametrize("best_by", ["code_information", "frechet_distance"])
def test_the_best_networks_are_chosen_on_the_validation_split(networks, best_by):
    functions, of_run = networks
    rows = TrainingMetrics(functions, thumbnailed(), best_by).at_evaluation(of_run, ABOUT, 40)
    assert {row.split for row in rows if row.name == best_by} == {"validation"}


def thumbnailed():
    """The digits without labels: distances need no classifier."""
    found = digits.load(8)
    splits = {s: dataclasses.replace(getattr(found, s), labels=None) for s in SPLITS}
    return dataclasses.replace(found, label_names=(), **splits)
