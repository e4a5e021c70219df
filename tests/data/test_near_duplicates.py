import functools
import json

import jax
import numpy as np
import pytest
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan import data
from jaxgan.common import cache
from jaxgan.common.errors import UserError
from jaxgan.data import near_duplicates
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.near_duplicates import Groups, group_of, standardised, without_near_duplicates
from jaxgan.data.streaming import ArraySource, Streamed
from jaxgan.training import run_folder
from jaxgan.training.gan import build_gan


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch, tmp_path):
    """And a training that is long enough for small images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train = functools.partial(near_duplicates.train_autoencoder, updates=60)
    monkeypatch.setattr(near_duplicates, "train_autoencoder", train)


def some_images(n=120):
    """Smooth ones, each from its own draw, on a ground that they share: [n, 16, 16, 1]."""
    coarse = np.random.default_rng(0).integers(20, 200, (n, 3, 3)).astype(np.uint8)
    images = [Image.fromarray(one).resize((12, 12), Image.Resampling.BICUBIC) for one in coarse]
    return np.pad(np.stack([np.asarray(image) for image in images]), ((0, 0), (2, 2), (2, 2)))[
        ..., None
    ]


def planted():
    """Images, ten of them once more: brighter, or moved."""
    images = some_images()
    brighter = np.clip(images[:5] * 0.8 + 10, 0, 255).astype(np.uint8)
    # The edge is empty: nothing is lost.
    moved = [np.roll(images[5:8], 1, axis=2), np.roll(images[8:10], -1, axis=1)]
    return np.concatenate([images, brighter, *moved])


def test_ignores_brightness_and_contrast():
    images = some_images(4).astype(np.float32)
    np.testing.assert_allclose(standardised(images), standardised(images * 0.99 + 20), atol=0.02)
    flat = np.full((1, 4, 4, 1), 77, np.uint8)
    np.testing.assert_array_equal(standardised(flat), np.zeros((1, 16)))


def test_planted_copies_are_found_and_no_distinct_image_is(capsys):
    images = planted()
    split = without_near_duplicates(Split(images, np.arange(130, dtype=np.int32)))
    assert split.labels.tolist() == list(range(120))
    assert "10 of 130 training images are left out, of 10 groups" in capsys.readouterr().out


def test_finds_moved_copies_only_with_a_reach():
    found = near_duplicates.near_duplicates(planted(), reach=0)
    assert {tuple(group) for group in found.members} >= {(i, 120 + i) for i in range(5)}
    assert not {5, 6, 7, 8, 9} & set(np.concatenate(found.members).tolist())


def test_the_second_search_is_read_from_the_cache(monkeypatch):
    images = some_images(40)
    first = near_duplicates.near_duplicates(np.concatenate([images, images[:3]]))
    monkeypatch.setattr(near_duplicates, "train_autoencoder", None)
    second = near_duplicates.near_duplicates(np.concatenate([images, images[:3]]))
    assert [list(one) for one in first.members] == [list(one) for one in second.members]
    assert [list(one) for one in second.members] == [[0, 40], [1, 41], [2, 42]]
    again = np.concatenate([images, images[:3]])
    for other in ({"images": images}, {"images": again, "bits": 3}, {"images": again, "reach": 0}):
        with pytest.raises(TypeError):  # Looked for anew.
            near_duplicates.near_duplicates(**other)


def test_a_run_in_float64_finds_the_same_groups(monkeypatch):
    def found():
        trained.clear()
        group = near_duplicates.near_duplicates(planted(), lambda _: None).members
        return [one.tolist() for one in group], trained[0]

    trained, train = [], near_duplicates.train_autoencoder

    def noted(images):
        trained.append(train(images))
        return trained[0]

    monkeypatch.setattr(near_duplicates, "train_autoencoder", noted)
    monkeypatch.setattr(cache, "cached", lambda name, find, say: find())
    single, weights = found()
    with jax.enable_x64(True):
        double, others = found()
    assert single == double
    jax.tree.map(np.testing.assert_array_equal, weights, others)


def test_large_sets_are_searched_for_equal_codes_only(monkeypatch):
    monkeypatch.setattr(near_duplicates, "MOST_COMPARED", 50)
    images = some_images(60)
    found = near_duplicates.near_duplicates(np.concatenate([images, images[:2]]))
    assert found.bits == 0
    assert [list(one) for one in found.members] == [[0, 60], [1, 61]]


def test_equal_codes_of_different_images_form_no_group():
    """One code for all images: a stranger is the first of it, and the copies come after."""
    images = some_images(5)[[0, 1, 2, 1, 3, 1]]
    for bits in (0, 1):
        group = group_of(lambda some: np.ones((len(some), 8), bool), images, bits, 0)
        assert group[1] == group[3] == group[5]
        assert len(set(group.tolist())) == 4


def test_blank_images_are_of_one_group_and_of_no_other():
    images = np.concatenate([some_images(3), np.full((4, 16, 16, 1), 9, np.uint8)])
    images[5:] = 200
    group = group_of(lambda some: np.ones((len(some), 8), bool), images, 0, 1)
    assert len(set(group[3:].tolist())) == 1
    assert len(set(group.tolist())) == 4
    found = near_duplicates.near_duplicates(images)
    assert [list(one) for one in found.members] == [[3, 4, 5, 6]]


def test_blocks_of_any_size_give_the_same_groups(monkeypatch):
    images = np.concatenate([planted()[:30], planted()[-10:]])
    random = np.random.default_rng(0).normal(size=(256, 24))

    def codes_of(some):
        return some.reshape(len(some), -1) @ random > 0

    whole = group_of(codes_of, images, 3, 1)
    assert len(set(whole.tolist())) < len(images)
    monkeypatch.setattr(near_duplicates, "_READ", 7)
    monkeypatch.setattr(near_duplicates, "_CELLS", 280)
    np.testing.assert_array_equal(group_of(codes_of, images, 3, 1), whole)


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(0, 3))
def test_groups_are_those_of_all_pairs(seed, bits):
    """Against every pair by hand; codes are the images' own bits, so that a move moves them."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 2, (12, 3, 4, 1)).astype(np.uint8)
    images[6:] = images[:6]  # Copies, some with a bit turned.
    images[8, 0, 0] ^= 1
    group = group_of(lambda some: some.reshape(len(some), -1) > 0, images, bits, 0, alike=-1)
    apart = (images[:, None] != images[None]).sum(axis=(2, 3, 4))
    joined = apart <= bits
    for _ in range(12):  # Pairs of pairs.
        joined = joined @ joined
    np.testing.assert_array_equal(group[:, None] == group[None], joined)


def test_the_first_of_a_group_stays():
    groups = Groups([np.array([3, 9, 11]), np.array([4, 5])], 0)
    assert groups.copies.tolist() == [5, 9, 11]
    assert Groups([], 0).copies.tolist() == []


def test_a_config_leaves_them_out_of_training_alone(monkeypatch, tmp_path):
    """Resident and streamed alike; the reference classifier knows all images as ever."""
    images = planted()

    def load(*_):
        labels = (np.arange(130) % 2).astype(np.int32)
        held_out = Split(images[:3], labels[:3])
        return Dataset("some", Split(images, labels), held_out, held_out, ("even", "odd"))

    monkeypatch.setattr("jaxgan.data.registry._source", load)
    config = tiny_config(dataset__near_duplicates="leave_out")
    found = data.load(config)
    assert (len(found.train), len(found.validation), len(found.whole.train)) == (120, 3, 130)
    gan = build_gan(tiny_config(), images.shape[1:])
    run_folder.enter(config, str(tmp_path / "run"), found, gan).close()
    groups = json.loads((tmp_path / "run" / "near_duplicates.json").read_text())["groups"]
    assert sum(len(group) - 1 for group in groups) == 10
    kept = sorted(set(range(130)) - {place for group in groups for place in group[1:]})
    np.testing.assert_array_equal(found.train.images[:], images[kept])
    streamed = near_duplicates.near_duplicates(Streamed(ArraySource(images)))
    assert len(streamed.copies) == 10
    every = found.digest()
    config.dataset.near_duplicates = "keep"
    assert len(data.load(config).train) == 130
    assert data.load(config).digest() != every
    config.dataset.near_duplicates, config.dataset.classes = "leave_out", "odd"
    assert set(data.load(config).train.labels.tolist()) == {1}
    assert len(data.load(config).whole.train) == 130


def test_digits_that_are_stacked_by_chance_are_not_searched():
    with pytest.raises(UserError, match="stacked_digits draws its digits by chance"):
        tiny_config(dataset__near_duplicates="leave_out", dataset__name="stacked_digits")
