"""The rows of stacked digits."""

import dataclasses
import types

import jax
import pytest
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.data.sources import digits, stacked
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.stacked_metrics import modes_of_stacked_digits
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.conditions import Label
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


@pytest.fixture(scope="module")
def single():
    return digits.load(8)


@pytest.fixture(scope="module")
def stack(single):
    return stacked.load(single)


def test_a_runs_generator_is_measured(stack, single, monkeypatch):
    """With real images as reference; by a classifier that reads whether the upper left is lit."""
    asked, counts = [], []

    def predict(images):
        counts.append(len(images))
        return (images[:, :4, :4].mean(axis=(1, 2, 3)) > 127).astype(int)

    def reference_classifier(dataset, say):
        asked.append(dataset)
        return types.SimpleNamespace(name="a classifier", digest="0", predict=predict)

    monkeypatch.setattr(
        "jaxgan.evaluation.stacked_metrics.reference_classifier", reference_classifier
    )
    monkeypatch.setattr("jaxgan.evaluation.stacked_metrics._BLOCK", 25)
    config = update(
        load_config("gan", "dataset=stacked_digits"), {"width": 0.05, "dataset.size": 8}
    )
    gan = build_gan(config, stack.image_shape)
    nets = networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
    about = {"seed": 0, "step": 1, "checkpoint": "last"}

    def measured(gan, dataset, **count):
        context = make_context(NetworkFunctions(gan, 10), dataset, 100)
        return modes_of_stacked_digits(GeneratedSamples(context, nets, about), **count)

    found = measured(gan, stack, count=60)
    assert [row.name for row in found] == ["stacked_modes", "stacked_kl"]
    assert asked == [single]
    # Of generated and of real images, three channels each.
    assert sum(counts) == 2 * 3 * 60
    assert 1 <= found[0].value <= 8
    assert 1 <= found[0].reference <= 8
    assert all(row.n_generated == row.n_real == 60 for row in found)
    conditional = dataclasses.replace(gan, condition=Label(10, tuple(range(10))))
    assert measured(conditional, stack) == []
    assert measured(gan, stack.only("0-0-0+0-0-1")) == []
