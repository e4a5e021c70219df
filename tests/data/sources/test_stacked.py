"""Stacked digits: three single images as channels."""

import dataclasses

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
from jaxgan.metrics.images.stacked_modes import kl_to_data, mode_shares


@pytest.fixture(scope="module")
def single():
    return digits.load(8)


@pytest.fixture(scope="module")
def stack(single):
    return stacked.load(single)


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


def test_stacking_is_lazy_and_depends_on_the_seed_alone(single, stack):
    assert isinstance(stack.train.images, Streamed)
    again, other = stacked.load(single), stacked.load(single, seed=1)
    np.testing.assert_array_equal(again.train.images[-3:], stack.train.images[-3:])
    assert not np.array_equal(other.train.labels[:99], stack.train.labels[:99])
    assert stack.digest() == again.digest() != other.digest()
    dark = dataclasses.replace(single, train=Split(single.train.images // 2, single.train.labels))
    assert stacked.load(dark).digest() != stack.digest()


def test_resident_images_equal_streamed_ones(single, stack, monkeypatch):
    monkeypatch.setattr(stacked, "SIZES", {"train": 50, "validation": 5, "test": 5})
    whole, lazy = stacked.load(single, in_memory=True), stacked.load(single)
    assert isinstance(whole.train.images, np.ndarray)
    np.testing.assert_array_equal(whole.train.images, lazy.train.images[:])
    assert whole.digest() == lazy.digest()


@pytest.mark.parametrize("streamed", ["auto", "no", "yes"])
def test_available_by_name(monkeypatch, streamed):
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
