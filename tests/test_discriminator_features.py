"""A discriminator's convolutions as features, and the linear classifier on them."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.data.dataset import Dataset, Split
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.linear_probe import svm_accuracy
from jaxgan.inference.feature_maps import FeatureReader, convolution_maps, pooled
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.images.linear_probe import fit_svm
from jaxgan.models.mlp import Generator
from jaxgan.models.registry import Modules
from jaxgan.models.variables import Variables
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}


def clusters(n, numbers, classes=3, spread=0.3, seed=0):
    """Gaussians around the corners of a simplex: features float32 [n, numbers], labels [n]."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n)
    noise = draw.normal(0, spread, (n, numbers))
    return (np.eye(numbers)[labels] + noise).astype(np.float32), labels + 5


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("numbers", [6, 400])
def test_the_svm_is_scikit_learns_on_standardised_features(monkeypatch, numbers, classes):
    """Also where it is fitted in a space of fewer numbers."""
    from sklearn.svm import LinearSVC

    monkeypatch.setattr("jaxgan.metrics.images.linear_probe._TOLERANCE", 1e-6)
    x, labels = clusters(120, numbers, classes)
    unseen, _ = clusters(50, numbers, classes, seed=1)
    x[:, 5], unseen[:, 5] = 7, 8  # A feature that never varies says nothing.
    svm = fit_svm(x, labels, cs=(1.0,))
    deviation = np.where(np.arange(numbers) == 5, np.inf, x.std(axis=0))
    scale = deviation * np.sqrt(numbers)
    scikit = LinearSVC(tol=1e-6).fit((x - x.mean(axis=0)) / scale, labels)
    mine = unseen @ svm.weights.T + svm.bias
    theirs = scikit.decision_function((unseen - x.mean(axis=0)) / scale).reshape(mine.shape)
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
    # Where the two best classes are farther apart than both fits' tolerance.
    scores = theirs if classes > 2 else np.concatenate([-theirs, theirs], axis=1)
    decided = np.diff(np.sort(scores, axis=1)[:, -2:])[:, 0] > 1e-2
    assert decided.mean() > 0.8
    np.testing.assert_array_equal(
        svm.predict(unseen[decided]),
        scikit.predict((unseen[decided] - x.mean(axis=0)) / scale),
    )


def test_the_svm_reads_what_can_be_told_apart_and_no_more():
    x, labels = clusters(300, 50)
    unseen, truth = clusters(300, 50, seed=1)
    right = np.mean(fit_svm(x, labels).predict(unseen) == truth)
    shuffled = np.random.default_rng(0).permutation(labels)
    by_chance = np.mean(fit_svm(x, shuffled).predict(unseen) == truth)
    assert right > 0.85
    assert 0.2 < by_chance < 0.5


def test_c_is_chosen_on_examples_that_are_held_out():
    """A quarter of the labels are wrong: a large C follows each of them, a small one learns
    nothing."""
    x, labels = clusters(500, 400, classes=2, spread=0.15)
    wrong = np.random.default_rng(1).random(500) < 0.25
    labels = np.where(wrong, 11 - labels, labels)
    assert fit_svm(x, labels, cs=(100.0, 0.1)).c == 0.1
    assert fit_svm(x, labels, cs=(0.001, 0.1)).c == 0.1
    with pytest.raises(ValueError, match="two classes"):
        fit_svm(x, np.zeros(500, int))


class Nets(nn.Module):
    """Two convolutions, the first with a BatchNorm, then what `end` says."""

    end: str = "flat"

    @nn.compact
    def __call__(self, x, condition, train):
        x = nn.Conv(3, (3, 3), 2, name="one")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = nn.elu(nn.Conv(4, (3, 3), 2, name="two")(x))
        x = x.mean((1, 2)) if self.end == "mean" else x.reshape(len(x), -1)
        return nn.Dense(1)(x)[:, 0], x


def small(end="flat"):
    config = update(load_config("gan"), {"dataset.name": "digits", "latent.codes": ""})
    modules = Modules(Generator(image_shape=(20, 20, 3), layers=(1,)), Nets(end), None, -1.0)
    gan = build_gan(config, (20, 20, 3), modules=modules)
    return gan, networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())


def test_the_maps_are_what_the_next_layer_sees():
    gan, nets = small()
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), np.uint8)
    first, second = jax.jit(lambda: convolution_maps(gan, nets.discriminator, images))()
    assert first.shape == (6, 10, 10, 3)
    assert first.min() == 0 < first.max()
    apply = jax.jit(lambda x: gan.discriminator.apply(nets.discriminator._asdict(), x, None, False))
    features = apply(images / np.float32(127.5) - 1)[1]
    np.testing.assert_allclose(second.reshape(6, -1), features, atol=1e-5)
    assert second.shape == (6, 5, 5, 4)
    # Behind a mean over all places the map itself is taken.
    other, its = small("mean")
    shapes = jax.eval_shape(lambda: convolution_maps(other, its.discriminator, images))
    assert shapes[1].shape == (6, 5, 5, 4)
    read = FeatureReader(gan)(nets.discriminator, images)
    np.testing.assert_allclose(
        read, np.concatenate([pooled(first), pooled(second)], axis=1), atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "arg", "shape", "sizes"),
    [
        ("dcgan", "", (28, 28, 1), [128, 256, 512]),
        ("dcgan", "cifar10", (32, 32, 3), [128, 256, 512]),
        ("infogan", "paper", (28, 28, 1), [64, 128]),
        ("infogan", "document", (28, 28, 1), [64, 128, 256]),
        ("gan", "paper", (28, 28, 1), []),
    ],
)
def test_how_many_features_the_suites_networks_have(name, arg, shape, sizes):
    """Every convolution counts, whichever class of layer it is."""
    gan = build_gan(update(load_config(name, arg), {"width": 1.0}), shape)

    def features():
        nets = networks(initialise(gan, jax.random.key(0)))
        maps = convolution_maps(gan, nets.discriminator, np.zeros((2, *shape), np.uint8))
        return [pooled(one) for one in maps]

    assert [one.shape for one in jax.eval_shape(features)] == [(2, 16 * n) for n in sizes]


def test_pooling_takes_each_windows_maximum():
    one = np.arange(36.0, dtype=np.float32).reshape(1, 6, 6, 1)
    # Six is cut at 0, 1.5, 3, 4.5, 6: windows 0-1, 1-2, 3-4, 4-5.
    np.testing.assert_array_equal(
        pooled(one)[0].reshape(4, 4), np.array([1, 2, 4, 5]) + 6 * np.array([[1], [2], [4], [5]])
    )
    np.testing.assert_array_equal(pooled(one[:, :3, :2])[0], one[0, :3, :2].reshape(-1))


def test_statistics_are_those_of_the_images_with_nothing_dropped():
    gan, nets = small()
    images = np.random.default_rng(0).integers(0, 256, (30, 20, 20, 3), np.uint8)
    still = NetworkFunctions(gan, batch=10).recalibrate_discriminator(nets.discriminator, images)
    kernel = nets.discriminator.params["one"]
    convolve = jax.jit(lambda x: nn.Conv(3, (3, 3), 2).apply({"params": kernel}, x))
    before = convolve(images / np.float32(127.5) - 1)
    norm = still.batch_stats["norm"]
    np.testing.assert_allclose(norm["mean"], before.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(norm["var"], before.var((0, 1, 2)), rtol=1e-4)


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


def test_who_has_no_such_features():
    """A discriminator without convolutions, and data without labels."""
    gan, nets = small()
    bare = Dataset("bare", Split(data().train.images, None), data().validation, data().test)
    assert probe(gan, nets, bare) == []
    config = update(load_config("gan"), {"width": 0.05})
    dense = build_gan(config, (20, 20, 3))
    state = initialise(dense, jax.random.key(0))
    assert probe(dense, networks(state), data()) == []


def test_a_map_without_statistics_stays_as_it_is():
    config = update(load_config("gan"), {"width": 0.05})
    gan = build_gan(config, (20, 20, 3))
    discriminator = networks(initialise(gan, jax.random.key(0))).discriminator
    still = NetworkFunctions(gan).recalibrate_discriminator(discriminator, data().train.images)
    assert still == Variables(discriminator.params, {})
