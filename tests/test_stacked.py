"""Three digits as the channels of one image: the data, and the modes read off it."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from conftest import load_config, tiny_config

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.sources import digits, glyphs, ring, stacked
from jaxgan.data.streaming import Streamed
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.stacked_metrics import modes_of_stacked_digits
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.images.stacked_modes import kl_to_data, mode_shares, modes_hit, modes_read
from jaxgan.models.conditions import Label
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


@pytest.fixture(scope="module")
def single():
    return digits.load(8)


@pytest.fixture(scope="module")
def stack(single):
    return stacked.load(single)


# --- The data


def test_channels_are_single_images_of_the_same_split(single, stack):
    assert [len(s) for s in (stack.train, stack.validation, stack.test)] == [
        128_000, 10_000, 26_000,
    ]  # fmt: skip
    assert stack.image_shape == (8, 8, 3)
    for name in ("train", "test"):
        few, own = getattr(stack, name).first(40), getattr(single, name)
        for image, label in zip(few.images, few.labels, strict=True):
            read = 0
            for channel in np.moveaxis(image, -1, 0):
                found = (own.images[..., 0] == channel).all(axis=(1, 2))
                assert found.any()
                read = 10 * read + own.labels[found.argmax()]
            assert read == label
            assert stack.label_names[label] == "-".join(f"{label:03}")


def test_modes_come_as_often_as_their_digits_do(single, stack):
    expected = mode_shares(single.train.labels, 10)
    counts = np.bincount(stack.train.labels, minlength=1000)
    np.testing.assert_allclose(counts, 128_000 * expected, atol=6 * np.sqrt(128))
    assert kl_to_data(stack.train.labels, expected) < 1.3 * 999 / 256_000


def test_the_same_seed_stacks_the_same_and_nothing_is_put_together_before(single, stack):
    assert isinstance(stack.train.images, Streamed)
    again, other = stacked.load(single), stacked.load(single, seed=1)
    np.testing.assert_array_equal(again.train.images[-3:], stack.train.images[-3:])
    assert not np.array_equal(other.train.labels[:99], stack.train.labels[:99])
    assert stack.digest() == again.digest() != other.digest()
    dark = dataclasses.replace(single, train=Split(single.train.images // 2, single.train.labels))
    assert stacked.load(dark).digest() != stack.digest()


def test_in_memory_it_is_the_same(single, stack, monkeypatch):
    monkeypatch.setattr(stacked, "SIZES", {"train": 50, "validation": 5, "test": 5})
    whole, lazy = stacked.load(single, in_memory=True), stacked.load(single)
    assert isinstance(whole.train.images, np.ndarray)
    np.testing.assert_array_equal(whole.train.images, lazy.train.images[:])
    assert whole.digest() == lazy.digest()


@pytest.mark.parametrize("streamed", ["auto", "no", "yes"])
def test_it_is_a_dataset_by_name(monkeypatch, streamed):
    monkeypatch.setattr(stacked, "SIZES", {"train": 70, "validation": 5, "test": 5})
    config = update(load_config("dcgan", "stacked_digits"), {"dataset.streamed": streamed})
    validate(config)
    dataset = data.load(config)
    assert dataset.name == "stacked_digits"
    assert dataset.stacked.name == "digits"
    assert isinstance(dataset.train.images, Streamed) == (streamed != "no")
    assert config.best_by == "none"


def test_an_empty_split_stays_empty(single):
    none = dataclasses.replace(single, validation=single.validation.first(0))
    stack = stacked.load(none)
    assert (len(stack.validation), len(stack.validation.labels)) == (0, 0)
    assert stack.validation.first(5).images.shape == (0, 8, 8, 3)


def test_what_cannot_be_stacked_is_refused(single, stack):
    split = Split(single.train.images, None)
    for wrong in (stack, ring.load(), Dataset("mine", split, split, split)):
        with pytest.raises(UserError, match=f"stacked_{wrong.name}: .* not one channel and labels"):
            stacked.load(wrong)
    with pytest.raises(UserError, match="the split of digits is fixed"):
        tiny_config(dataset__name="stacked_digits", dataset__validation=5)
    with pytest.raises(UserError, match=r"dataset\.data_dir is missing"):
        tiny_config(dataset__name="stacked_idx")


def test_glyphs_can_be_stacked_and_lose_their_factors():
    few = glyphs.load(8, sizes={"train": 9, "validation": 2, "test": 2})
    stack = stacked.load(few)
    assert (stack.factors, stack.train.factors, stack.draw) == ((), None, None)


# --- The measure


def test_modes_are_the_three_readings():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[0, 0, 0], images[1, 0, 0] = (3, 0, 7), (0, 9, 1)
    assert modes_read(images, lambda x: x[:, 0, 0, 0].astype(int), 10).tolist() == [307, 91]
    with pytest.raises(ValueError, match="not \\[N, H, W, 3\\]"):
        modes_read(images[..., :2], len, 10)


def test_the_divergence_is_scipys():
    from scipy.stats import entropy

    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(27))
    modes = generator.integers(0, 20, 500)
    expected = entropy(np.bincount(modes, minlength=27), shares)
    assert kl_to_data(modes, shares) == pytest.approx(expected)
    assert mode_shares(np.array([0, 0, 1, 2]), 3)[5] == pytest.approx(0.5 * 0.25 * 0.25)


def test_the_divergence_by_hand():
    """All in one of a thousand even modes: log 1000. In half of them: log 2. As the data: 0."""
    even = np.full(1000, 1e-3)
    assert kl_to_data(np.zeros(50, int), even) == pytest.approx(np.log(1000))
    assert kl_to_data(np.repeat(np.arange(500), 3), even) == pytest.approx(np.log(2))
    assert kl_to_data(np.arange(1000), even) == pytest.approx(0, abs=1e-12)
    assert kl_to_data(np.array([0, 1]), np.array([1.0, 0.0])) == np.inf
    with pytest.raises(ValueError, match="no images"):
        kl_to_data(np.zeros(0, int), even)


def test_a_collapse_measures_worse(stack, single):
    modes, shares = stack.test.labels, mode_shares(single.train.labels, 10)
    worse = [modes, modes[modes < 500], modes[modes < 20], modes[:1].repeat(9)]
    hit = [modes_hit(some) for some in worse]
    kl = [kl_to_data(some, shares) for some in worse]
    assert hit == [1000, 500, 20, 1]
    assert kl == sorted(kl)
    assert kl[0] < 0.05 < 0.6 < kl[1] < 0.8
    # Uneven, though nothing is lost.
    tilted = np.concatenate([modes, modes[modes < 100].repeat(20)])
    assert modes_hit(tilted) == 1000
    assert kl_to_data(tilted, shares) > kl[0] + 0.5


def test_a_runs_generator_is_measured(stack, single, monkeypatch):
    """Beside real images; by a classifier that reads whether the upper left is lit."""
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
    told = dataclasses.replace(gan, condition=Label(10, tuple(range(10))))
    assert measured(told, stack) == []
    assert measured(gan, stack.only("0-0-0+0-0-1")) == []
