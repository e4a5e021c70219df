"""The rows of a run's codes, and the score that chooses the best networks."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan.data.sources import digits
from jaxgan.evaluation.code_metrics import codes_of_real_images
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.registry import score
from jaxgan.evaluation.results import MetricResult, format_table
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.training.gan import build_gan
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
    gan = build_gan(tiny_config("paper"), (28, 28, 1))
    return gan, jax.jit(lambda: initialise(gan, jax.random.key(0)))()


ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}


def measured(networks, dataset):
    gan, state = networks
    context = make_context(NetworkFunctions(gan), dataset, 100)
    rows = codes_of_real_images(GeneratedSamples(context, state_networks(state), ABOUT))
    return rows, {(row.name, row.split): row.value for row in rows}


def test_the_score_that_picks_the_best_sees_no_label(networks):
    dataset = digits.load()
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
    dataset = digits.load()
    empty = dataset.test.first(0)
    _, values = measured(networks, dataclasses.replace(dataset, test=empty))
    assert ("code_accuracy", "validation") in values
    _, values = measured(networks, dataclasses.replace(dataset, test=empty, validation=empty))
    assert {split for _, split in values} == {"train"}
