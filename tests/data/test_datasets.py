import dataclasses
import os

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, load_config, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.batches import indices, indices_of_steps
from jaxgan.data.dataset import Dataset, Split, check_passed, label_number
from jaxgan.data.pixels import resize, to_network, to_uint8
from jaxgan.data.sources import digits, tfds
from jaxgan.data.streaming import ArraySource, Streamed
from jaxgan.models.registry import make_modules

SHARED = ROOT.parent / "shared" / "tfds"


def test_digits_are_a_fixed_stratified_split():
    dataset = digits.load()
    sizes = [len(s) for s in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [1205, 296, 296]
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.train.images.dtype == np.uint8
    for split in (dataset.validation, dataset.test):
        counts = np.bincount(split.labels)
        assert counts.min() >= 29
        assert counts.max() <= 30
    assert dataset.digest() == digits.load().digest()
    everything = np.concatenate(
        [s.images for s in (dataset.train, dataset.validation, dataset.test)]
    )
    from sklearn.datasets import load_digits

    # Nothing lost, nothing twice: the images are those of the source, one for one.
    source = load_digits().images.reshape(1797, -1)
    assert len(np.unique(everything.reshape(1797, -1), axis=0)) == len(np.unique(source, axis=0))


def test_the_digest_sees_images_labels_and_their_names():
    images = np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1)
    labels = np.array([0, 1, 0, 1, 0, 1], np.int32)

    def digest(images=images, labels=labels, names=("a", "b"), **more):
        none = Split(images[:0], None)
        return Dataset("x", Split(images, labels), none, none, names, **more).digest()

    others = [
        digest(),
        digest(images=images[::-1]),
        digest(images=images.reshape(6, 1, 4, 1)),
        digest(labels=labels[::-1]),
        digest(names=("a", "c")),
        digest(labels=None, names=()),
    ]
    assert len(set(others)) == len(others)
    assert digest(labels=labels.astype(np.int64)) == digest(images=Streamed(ArraySource(images)))
    # A source that is too large to be read knows better what tells it apart.
    assert digest(fingerprint="f") == digest(fingerprint="f", labels=labels[::-1])


def test_digits_at_another_size():
    assert digits.load(32).image_shape == (32, 32, 1)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_conversion_to_and_fro_is_exact(low):
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    numbers = to_network(every, low)
    assert float(numbers.min()) == pytest.approx(low, abs=1e-6)
    assert float(numbers.max()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(to_uint8(numbers, low), every)


def test_resize_takes_the_central_square():
    image = np.zeros((1, 4, 8, 1), np.uint8)
    image[:, :, 2:6] = 200
    np.testing.assert_array_equal(resize(image, 2), np.full((1, 2, 2, 1), 200))


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**31 - 1),
    images=st.integers(1, 50),
    batch=st.integers(1, 60),
)
def test_every_image_comes_once_an_epoch(seed, images, batch):
    steps = -(-3 * images // batch)
    seen = np.concatenate([indices(seed, s, images, (1, batch), False)[0] for s in range(steps)])
    for epoch in range(3):
        part = seen[epoch * images : (epoch + 1) * images]
        np.testing.assert_array_equal(np.sort(part), np.arange(images))


def test_batches_are_a_function_of_seed_and_step():
    a = indices(1, 5, 100, (2, 8), True)
    assert a.shape == (2, 8)
    assert a.dtype == np.int32
    np.testing.assert_array_equal(a, indices(1, 5, 100, (2, 8), True))
    assert not np.array_equal(a, indices(1, 6, 100, (2, 8), True))
    assert not np.array_equal(a, indices(2, 5, 100, (2, 8), True))
    epochs = [indices(1, s, 64, (64,), False) for s in range(2)]
    assert not np.array_equal(*epochs)


@pytest.mark.parametrize("replacement", [False, True])
def test_several_steps_are_those_of_each_step(replacement):
    several = indices_of_steps(3, 5, 4, 50, (2, 17), replacement)
    each = [indices(3, step, 50, (2, 17), replacement) for step in range(5, 9)]
    np.testing.assert_array_equal(several, each)


def test_replacement_draws_uniformly():
    drawn = np.concatenate([indices(0, s, 10, (100,), True) for s in range(100)])
    np.testing.assert_allclose(np.bincount(drawn) / 10_000, 0.1, atol=0.012)
    assert len(np.unique(indices(0, 0, 1000, (1000,), True))) < 700


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match="5000 is larger than digits's 1205"):
        data.load(tiny_config(batch_size=5000))


PASSED = np.zeros((6, 8, 8, 1), np.uint8), np.arange(6, dtype=np.int32) % 2


@pytest.mark.parametrize(
    ("images", "labels", "keys", "said"),
    [
        (*PASSED, {}, None),
        (np.zeros((6, 1, 1, 2), np.float32), None, {}, None),
        (PASSED[0][..., 0], None, {}, r"images are uint8 \[6, 8, 8\]\nmake them uint8 \[N, H"),
        (PASSED[0] / 255, None, {}, r"images are float64 \[6, 8, 8, 1\]"),
        (PASSED[0].astype(np.float32), None, {}, r"images are float32 \[6, 8, 8, 1\]"),
        (PASSED[0], PASSED[1] + 1, {}, "labels from 1 to 2, with 2 names"),
        (PASSED[0], PASSED[1] - 1, {}, "labels from -1 to 0, with 2 names"),
        (PASSED[0], PASSED[1][:5], {}, r"labels are int32 \[5\]\nmake them whole numbers \[6\]"),
        (PASSED[0], PASSED[1] / 2, {}, r"labels are float64 \[6\]"),
        (*PASSED, {"batch_size": 7}, "a batch of 7 is larger than own's 6"),
        (
            *PASSED,
            {"dataset.classes": "a"},
            r"classes=a: it has no effect on a dataset passed in\npass dataset.only",
        ),
        (*PASSED, {"dataset.images": 3}, "images=3: it has no effect on a dataset passed in"),
        (*PASSED, {"dataset.near_duplicates": "leave_out"}, "without_near_duplicates"),
    ],
)
def test_a_dataset_made_in_python_is_checked(images, labels, keys, said):
    split = Split(images, labels)
    dataset = Dataset("own", split, split.first(0), split, ("a", "b"))
    config = update(load_config("gan"), {"batch_size": 6} | keys)
    if said is None:
        check_passed(config, dataset)
    else:
        with pytest.raises(UserError, match=said):
            check_passed(config, dataset)


def test_splits_of_one_dataset_have_images_of_one_shape():
    split, other = Split(PASSED[0], None), Split(np.zeros((6, 8, 4, 1), np.uint8), None)
    config = update(load_config("gan"), {"batch_size": 6})
    with pytest.raises(UserError, match=r"own: test: uint8 \(8, 4, 1\), training images uint8"):
        check_passed(config, Dataset("own", split, split, other))


@pytest.mark.parametrize("name", ["dcgan", "cgan", "infogan"])
def test_convolutional_networks_refuse_images_that_are_not_square(name):
    config = update(load_config(name), {"dataset.name": "own"})
    with pytest.raises(UserError, match="own: images of 32x28 are not square"):
        make_modules(config, (32, 28, 1), (), jnp.float32)


@pytest.mark.parametrize("streamed", ["no", "yes"])
def test_the_first_training_images_of_the_chosen_classes(streamed):
    """The classifier that metrics use still sees all images."""
    values = {"dataset__classes": "3+8", "batch_size": 2, "dataset__streamed": streamed}
    whole, few = (data.load(tiny_config(**values, dataset__images=n)) for n in (0, 20))
    np.testing.assert_array_equal(few.train.images[:], whole.train.images[:20])
    np.testing.assert_array_equal(few.train.labels, whole.train.labels[:20])
    assert len(few.test) == len(whole.test)
    assert len(few.whole.train) == 1205
    assert few.digest() != whole.digest()
    with pytest.raises(UserError, match=r"dataset\.images=5000"):
        data.load(tiny_config(**values, dataset__images=5000))


def test_classes_are_chosen_by_name_or_number():
    dataset = digits.load()
    chosen = dataset.only("3+7")
    assert set(chosen.train.labels) == set(chosen.test.labels) == {3, 7}
    assert len(chosen.test) == (dataset.test.labels == 3).sum() + (dataset.test.labels == 7).sum()
    named = dataclasses.replace(dataset, label_names=tuple("abcdefghij"))
    np.testing.assert_array_equal(named.only("d+7").train.images, chosen.train.images)
    assert dataset.only("") is dataset
    with pytest.raises(UserError, match="no class '12'"):
        dataset.only("3+12")
    with pytest.raises(UserError, match="no class 'x'"):
        data.load(tiny_config(dataset__classes="x"))


def test_data_that_is_not_there_names_the_remedy(tmp_path):
    with pytest.raises(UserError, match="tfds build mnist --file_format=array_record") as error:
        tfds.load("mnist", str(tmp_path), 28)
    assert "TFDS_DATA_DIR" in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert os.listdir(tmp_path) == []


def test_an_unknown_dataset_is_named(tmp_path):
    with pytest.raises(UserError, match="no_such_data"):
        tfds.load("no_such_data", str(tmp_path), 28)
    with pytest.raises(UserError, match="no such folder"):
        tfds.load("mnist", str(tmp_path / "nowhere"), 28)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no prepared MNIST next to the checkout")
def test_prepared_mnist_is_read():
    """By a name with a version, which holds out as many images as the name alone."""
    dataset = tfds.load("mnist:3.0.1", str(SHARED), 28)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        55_000, 5_000, 10_000,
    ]  # fmt: skip
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.label_names[:3] == ("0", "1", "2")
    assert np.bincount(dataset.test.labels)[:3].tolist() == [980, 1135, 1032]
    with pytest.raises(UserError, match=r"dataset\.validation=60000"):
        tfds.load("mnist:3.0.1", str(SHARED), 28, 60_000)


def test_a_label_is_found_by_a_name_that_cannot_be_printed():
    names = ("New\xa0York", "tab\t", "x")
    assert [label_number(name, names) for name in names] == [0, 1, 2]
    # As a message of jaxgan has it, and as somebody copies it from there.
    assert label_number("New\\xa0York", names) == 0
