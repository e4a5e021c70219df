"""What a discriminator sees: guided gradients, by hand."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.inference.guided_backprop import GuidedGradients, guided, shown, with_guided_activations
from jaxgan.models.conditions import Label
from jaxgan.models.layers import leaky_relu
from jaxgan.models.mlp import Generator
from jaxgan.models.registry import Modules
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


def by_hand(first, second, x, slope):
    """Of two layers, activations after each: the outputs, and each one's guided gradient."""
    one = first.T @ x
    two = second.T @ np.where(one > 0, one, slope * one)
    gradients = []
    for k, output in enumerate(two):
        back = second[:, k] * (output > 0)
        back = np.where((one > 0) & (back > 0), back, 0)
        gradients.append(first @ back)
    return np.where(two > 0, two, slope * two), np.array(gradients)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_guided_gradient_of_two_layers_by_hand(slope):
    draw = np.random.default_rng(3)
    first, second, x = draw.normal(size=(4, 5)), draw.normal(size=(5, 6)), draw.normal(size=4)
    act = guided(leaky_relu(slope))

    def network(x):
        return act(act(x @ first.astype(np.float32)) @ second.astype(np.float32))

    outputs, gradients = by_hand(first, second, x, slope)
    assert 0 < (outputs > 0).sum() < 6
    x = x.astype(np.float32)
    np.testing.assert_allclose(network(x), outputs, atol=1e-5)
    np.testing.assert_allclose(jax.jacrev(network)(x), gradients, atol=1e-5)


def test_passes_only_positive_gradients_of_positive_inputs():
    x, back = jnp.array([2.0, 2.0, -2.0, -2.0, 0.0]), jnp.array([3.0, -3.0, 3.0, -3.0, 3.0])
    value, pull = jax.vjp(guided(leaky_relu(0.1)), x)
    np.testing.assert_allclose(value, [2, 2, -0.2, -0.2, 0], atol=1e-6)
    np.testing.assert_array_equal(pull(back)[0], [3, 0, 0, 0, 0])


class Discriminator(nn.Module):
    """Two 1x1 convolutions, so that each pixel is a two-layer network of its own."""

    activation: object = leaky_relu(0.2)

    @nn.compact
    def __call__(self, x, condition, train):
        x = self.activation(nn.Conv(5, (1, 1), use_bias=False, name="one")(x))
        x = self.activation(nn.Conv(6, (1, 1), use_bias=False, name="two")(x))
        x = x.reshape(len(x), -1)
        return nn.Dense(1, name="logit")(x)[:, 0], x


def small(discriminator):
    config = update(load_config("gan"), {"width": 0.05})
    modules = Modules(Generator(image_shape=(4, 4, 3), layers=(1,)), discriminator, None, -1.0)
    return build_gan(config, (4, 4, 3), modules=modules)


def test_the_gradient_of_the_most_active_maps():
    gan = small(Discriminator())
    nets = networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    order, gradients = GuidedGradients(gan, maps=2)(nets.discriminator, images)
    assert gradients.shape == (3, 2, 4, 4, 3)
    first, second = (
        np.asarray(nets.discriminator.params[name]["kernel"])[0, 0] for name in ("one", "two")
    )
    for image, maps, found in zip(images / 127.5 - 1, order, gradients, strict=True):
        pixels = [by_hand(first, second, pixel, 0.2) for pixel in image.reshape(16, 3)]
        active = np.array([outputs for outputs, _ in pixels])
        np.testing.assert_array_equal(maps, np.argsort(-active.max(0))[:2])
        for one, gradient in zip(maps, found, strict=True):
            expected = np.zeros((16, 3))
            place = active[:, one].argmax()
            expected[place] = pixels[place][1][one]
            np.testing.assert_allclose(gradient.reshape(16, 3), expected, atol=1e-5)
    assert np.abs(gradients).max() > 0.01


class Fixed(Discriminator):
    """A convolution less, and no activation of its own."""

    activation: object = None

    @nn.compact
    def __call__(self, x, condition, train):
        x = x.reshape(len(x), -1)
        return nn.Dense(1)(x)[:, 0], x


def test_refuses_discriminators_without_guided_gradients():
    gan = small(Discriminator())
    conditional = dataclasses.replace(gan, condition=Label(10, tuple(range(10))))
    with pytest.raises(UserError, match="sees the image alone"):
        GuidedGradients(conditional)

    class Bare(nn.Module):
        pass

    with pytest.raises(UserError, match="its argument"):
        with_guided_activations(dataclasses.replace(gan, discriminator=Bare()))
    dense = small(Fixed())
    nets = networks(jax.jit(lambda: initialise(dense, jax.random.key(0)))())
    with pytest.raises(UserError, match="has no convolution"):
        GuidedGradients(dense)(nets.discriminator, np.zeros((1, 4, 4, 3), np.uint8))


def test_gradients_are_shown_around_grey():
    gradients = np.zeros((2, 1, 2, 1), np.float32)
    gradients[0, 0, :, 0] = 0.2, -0.1
    np.testing.assert_array_equal(shown(gradients)[..., 0], [[[255, 64]], [[128, 128]]])
