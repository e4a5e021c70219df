"""Sampling, and reading codes with recalibrated BatchNorm."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan.config.presets import base, update
from jaxgan.data.pixels import to_network
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.registry import Modules
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise


@pytest.fixture(scope="module")
def networks():
    gan = build_gan(tiny_config("paper"), (28, 28, 1))
    return gan, jax.jit(lambda: initialise(gan, jax.random.key(0)))()


def test_statistics_are_those_of_the_whole_set(networks):
    """The first BatchNorm's re-estimated statistics are the mean and variance over all images."""
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=20)
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    d, q = instruments.recalibrate_batch_norm(
        state.discriminator.variables, state.q.variables, images
    )
    recalibrating = gan.discriminator.clone(momentum=0.0)
    _, whole = apply_network(
        recalibrating, state.discriminator.variables, images / np.float32(255), None, train=True
    )
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            d.batch_stats["conv_2_norm"][name], whole["conv_2_norm"][name], rtol=1e-3, atol=1e-6
        )
    assert d.params is state.discriminator.params
    assert q.params is state.q.params


def test_statistics_of_one_batch_are_the_networks_own_at_momentum_0(networks):
    gan, state = networks
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    variables = state.discriminator.variables, state.q.variables
    read = NetworkFunctions(gan, batch=20).recalibrate_batch_norm(*variables, images)

    @jax.jit
    def clones(d, q, images):
        (_, features), of_d = apply_network(
            gan.discriminator.clone(momentum=0.0), d, to_network(images, gan.low), None, train=True
        )
        return of_d, apply_network(gan.q.clone(momentum=0.0), q, features, train=True)[1]

    expected = clones(*variables, images)
    assert len(jax.tree.leaves(expected)) == 6
    for a, b in zip(
        jax.tree.leaves([part.batch_stats for part in read]), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert gan.discriminator.momentum == 0.9


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(not train, momentum=0.7, name="norm")(nn.Dense(4, name="dense")(x))


class OwnDiscriminator(nn.Module):
    """BatchNorm in a module of a module, its momentum nobody's attribute."""

    @nn.compact
    def __call__(self, images, condition, train):
        x = Block(name="block")(images, train)
        features = nn.relu(x.reshape(len(x), -1))
        return nn.Dense(1)(features)[:, 0], features


class OwnQ(nn.Module):
    def setup(self):
        self.norm = nn.BatchNorm()
        self.head = nn.Dense(3)

    def __call__(self, features, train):
        x = self.norm(features, use_running_average=not train)
        return (CategoricalParameters(self.head(x)),)


class OwnGenerator(nn.Module):
    @nn.compact
    def __call__(self, latent, train):
        return nn.Dense(16)(latent.noise).reshape(-1, 4, 4, 1)


def test_networks_of_ones_own_are_read_with_re_estimated_statistics():
    config = update(base(), {"latent.codes": "categorical:3", "latent.noise": 2})
    gan = build_gan(
        config, (4, 4, 1), modules=Modules(OwnGenerator(), OwnDiscriminator(), OwnQ(), 0.0)
    )

    @jax.jit
    def begin(image):
        (_, features), of_d = gan.discriminator.init_with_output(KEY, image, None, train=False)
        of_q = gan.q.init(KEY, features, train=False)
        return [Variables(one["params"], one["batch_stats"]) for one in (of_d, of_q)]

    d, q = begin(np.zeros((2, 4, 4, 1)))
    images = np.random.default_rng(0).uniform(size=(30, 4, 4, 1)).astype(np.float32)
    instruments = NetworkFunctions(gan, batch=10)
    of_d, of_q = instruments.recalibrate_batch_norm(d, q, images)
    norm = of_d.batch_stats["block"]["norm"]
    dense = images @ d.params["block"]["dense"]["kernel"]
    np.testing.assert_allclose(norm["mean"], dense.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm["var"], dense.var((0, 1, 2)), rtol=1e-4, atol=1e-6)
    assert float(np.abs(of_q.batch_stats["norm"]["mean"]).min()) > 0
    [read] = instruments.predict_codes(of_d, of_q, images)
    assert read.logits.shape == (30, 3)


def test_readings_do_not_depend_on_the_rest_of_the_batch(networks):
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=16)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
    variables = state.discriminator.variables, state.q.variables
    together = instruments.predict_codes(*variables, images)[0].logits
    assert together.shape == (40, 10)
    np.testing.assert_allclose(
        together[30:33],
        instruments.predict_codes(*variables, images[30:33])[0].logits,
        rtol=1e-4,
        atol=1e-6,
    )


KEY = jax.random.key(0)


def test_samples_come_in_any_number(networks):
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=16)
    latent = gan.latent.sample(jax.random.key(0), 21)
    images = instruments.sample(state.generator.variables, latent)
    assert images.shape == (21, 28, 28, 1)
    stats = Variables(state.generator.params, state.generator.batch_stats)
    alone = instruments.sample(stats, jax.tree.map(lambda x: x[20:], latent))
    np.testing.assert_allclose(images[20:], alone, rtol=1e-4, atol=1e-6)
