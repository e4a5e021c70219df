"""The outputs of a discriminator's convolutions."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import load_config
from two_convolutions import small

from jaxgan.config.presets import update
from jaxgan.data.dataset import Dataset, Split
from jaxgan.inference.feature_maps import FeatureReader, convolution_maps, pooled
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.variables import Variables
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


def test_maps_are_the_inputs_of_the_next_layer():
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
def test_every_convolution_gives_features(name, arg, shape, sizes):
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


def test_statistics_are_estimated_without_dropout():
    gan, nets = small()
    images = np.random.default_rng(0).integers(0, 256, (30, 20, 20, 3), np.uint8)
    recalibrated = NetworkFunctions(gan, batch=10).recalibrate_discriminator(
        nets.discriminator, images
    )
    kernel = nets.discriminator.params["one"]
    convolve = jax.jit(lambda x: nn.Conv(3, (3, 3), 2).apply({"params": kernel}, x))
    before = convolve(images / np.float32(127.5) - 1)
    norm = recalibrated.batch_stats["norm"]
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


def test_networks_without_batch_norm_keep_their_variables():
    config = update(load_config("gan"), {"width": 0.05})
    gan = build_gan(config, (20, 20, 3))
    discriminator = networks(initialise(gan, jax.random.key(0))).discriminator
    recalibrated = NetworkFunctions(gan).recalibrate_discriminator(
        discriminator, data().train.images
    )
    assert recalibrated == Variables(discriminator.params, {})
