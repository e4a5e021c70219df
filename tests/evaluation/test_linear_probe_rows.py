"""The rows of the linear probe."""

import dataclasses

import jax
import numpy as np
from conftest import load_config
from two_convolutions import small

from jaxgan.config.presets import update
from jaxgan.data.dataset import Dataset, Split
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.linear_probe import SEED, svm_accuracy
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}


def data(few=False):
    """Images whose label is where they are bright."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 150 if few else 260).astype(np.int32)
    images = draw.integers(0, 100, (len(labels), 20, 20, 3), np.uint8)
    images[labels == 1, :10] += 60
    split = Split(images, labels)
    return Dataset("mine", split, split.first(0), split.first(60), ("a", "b"))


def probe(gan, nets, dataset, limit=50, images=120):
    context = make_context(NetworkFunctions(gan), dataset, limit, images)
    return svm_accuracy(GeneratedSamples(context, nets, ABOUT))


def test_the_rows_of_a_run():
    gan, nets = small()
    dataset = data()
    assert min(np.bincount(dataset.train.labels)) >= 100
    found = probe(gan, nets, dataset)
    assert [m.name for m in found] == [
        f"svm_accuracy{few}{which}"
        for which in ("", "_untrained", "_pixels")
        for few in ("", "_200_labels")
    ]
    assert all(m.n_real == 50 and m.split == "test" for m in found)
    assert all(m.value > 0.9 for m in found)
    assert "on 120 training images" in found[0].protocol
    assert "on 200 training images" in found[1].protocol
    few = probe(gan, nets, data(few=True))
    assert [m.name for m in few] == [f"svm_accuracy{e}" for e in ("", "_untrained", "_pixels")]


def test_no_measures_without_convolutions_or_labels():
    """A discriminator without convolutions, and data without labels."""
    gan, nets = small()
    bare = Dataset("bare", Split(data().train.images, None), data().validation, data().test)
    assert probe(gan, nets, bare) == []
    config = update(load_config("gan"), {"width": 0.05})
    dense = build_gan(config, (20, 20, 3))
    state = initialise(dense, jax.random.key(0))
    assert probe(dense, networks(state), data()) == []


def test_no_measures_where_nearly_all_images_are_of_one_class():
    """The only image of the other class is among those that C is chosen on."""
    gan, nets = small()
    dataset = data()
    order = np.random.default_rng(SEED).permutation(len(dataset.train.labels))
    labels = np.zeros_like(dataset.train.labels)
    labels[order[119]] = 1
    train = Split(dataset.train.images, labels)
    assert probe(gan, nets, dataclasses.replace(dataset, train=train)) == []
