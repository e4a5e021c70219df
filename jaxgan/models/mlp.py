"""Fully connected networks, for images of any shape: the DCGAN document's baseline (gan:mnist), the
original GAN (gan:mnist,paper: Goodfellow et al. 2014 and its public code), and the conditional GAN
(cgan:mnist,mlp: Mirza and Osindero 2014, section 4.1)."""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.dropout import Dropout
from jaxgan.models.latents import Latent, joined
from jaxgan.models.layers import Maxout, Network, flat, leaky_relu

Activation = Callable[[jax.Array], jax.Array]


def uniform(limit: float) -> Callable[..., Any]:
    """Initial weights from U(-limit, limit)."""

    def init(key: Any, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


class Generator(Network):
    """Dense layers, then an image: [B, H, W, C] in the range of `output`. A condition is
    concatenated to the noise.

    gan:mnist: one layer of 128, LeakyReLU .01, tanh. gan:mnist,paper: two of 1200, ReLU, sigmoid.

    Attributes:
      layers: sizes of the hidden layers.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    layers: tuple[int, ...] = (128,)
    activation: Activation = leaky_relu(0.01)
    output: Activation = jnp.tanh

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        x = joined(latent._replace(condition=self.embed(latent.condition)))
        for i, features in enumerate(self.layers, 1):
            x = self.activation(self.dense(self.scaled(features), f"dense_{i}")(x))
        x = self.dense(math.prod(self.image_shape), "image")(x)
        return self.output(x).reshape(-1, *self.image_shape).astype(self.param_dtype)


class _ImageDiscriminator(Network):
    def concatenated(self, x: jax.Array, condition: Any) -> jax.Array:
        """The flattened image, followed by the condition if there is one: [B, N]."""
        if condition is None:
            return flat(x)
        return jnp.concatenate([flat(x), flat(self.embed(condition))], axis=-1)


class Discriminator(_ImageDiscriminator):
    """Dense layers, then a logit: (logit [B], features [B, last layer]).
    gan:mnist: one layer of 128, LeakyReLU .01."""

    layers: tuple[int, ...] = (128,)
    activation: Activation = leaky_relu(0.01)

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        x = self.concatenated(x, condition)
        for i, features in enumerate(self.layers, 1):
            x = self.activation(self.dense(self.scaled(features), f"dense_{i}")(x))
        logit = self.dense(1, "logit")(x)[:, 0]
        return logit.astype(self.param_dtype), x


class MaxoutDiscriminator(_ImageDiscriminator):
    """gan:mnist,paper: two maxout layers of 240 units with 5 pieces; dropout before each layer, at
    a rate of its own on the input: (logit [B], features [B, 240])."""

    units: tuple[int, ...] = (240, 240)
    pieces: int = 5
    input_dropout: float = 0.2
    dropout: float = 0.5
    kernel_init: Callable[..., Any] = uniform(0.005)

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        x = self.concatenated(x, condition)
        for i, units in enumerate(self.units, 1):
            rate = self.input_dropout if i == 1 else self.dropout
            x = self.drop(x, rate, f"maxout_{i}", train)
            x = self.maxout(units, self.pieces, f"maxout_{i}")(x)
        logit = self.dense(1, "logit")(self.drop(x, self.dropout, "logit", train))[:, 0]
        return logit.astype(self.param_dtype), x

    def drop(self, x: jax.Array, rate: float, name: str, train: bool) -> jax.Array:
        """Dropout named after the layer before or after it."""
        return Dropout(rate, deterministic=not train, name=f"{name}_dropout")(x)

    def maxout(self, units: int, pieces: int, name: str) -> Maxout:
        """A maxout layer at this network's width."""
        units, init = self.scaled(units), self.kernel_init
        return Maxout(units, pieces, kernel_init=init, name=name, **self.kernel_options())


class DropoutGenerator(Network):
    """Base of Mirza and Osindero's conditional generators: hidden ReLU layers, each followed by
    dropout, which `sample_dropout` keeps in sampling."""

    dropout: float = 0.5
    sample_dropout: bool = False
    kernel_init: Callable[..., Any] = uniform(0.05)

    def hidden(self, x: jax.Array, features: int, name: str, train: bool) -> jax.Array:
        """A hidden layer of `features` units at this network's width: [B, F]."""
        deterministic = not train and not self.sample_dropout
        x = nn.relu(self.dense(self.scaled(features), name)(x))
        return Dropout(self.dropout, deterministic=deterministic, name=f"{name}_dropout")(x)


class ConditionalGenerator(DropoutGenerator):
    """cgan:mnist,mlp: noise -> 200, condition -> 1000, both -> 1200, each with ReLU and dropout;
    then a sigmoid image, [B, H, W, C] in (0, 1)."""

    image_shape: tuple[int, int, int] = (28, 28, 1)

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        layer = functools.partial(self.hidden, train=train)
        condition = flat(self.embed(latent.condition))
        both = [layer(latent.noise, 200, "noise"), layer(condition, 1000, "condition")]
        x = layer(jnp.concatenate(both, axis=-1), 1200, "joint")
        x = self.dense(math.prod(self.image_shape), "image")(x)
        return nn.sigmoid(x).reshape(-1, *self.image_shape).astype(self.param_dtype)


class ConditionalDiscriminator(MaxoutDiscriminator):
    """cgan:mnist,mlp: image -> maxout 240 x 5, condition -> maxout 50 x 5, both -> maxout 240 x 4,
    each followed by dropout; then a logit: (logit [B], features [B, 240])."""

    input_dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        drop = functools.partial(self.drop, train=train)
        image = drop(flat(x), self.input_dropout, "input")
        image = drop(self.maxout(240, 5, "image")(image), self.dropout, "image")
        both = [image]
        if condition is not None:
            label = self.maxout(50, 5, "condition")(flat(self.embed(condition)))
            both.append(drop(label, self.dropout, "condition"))
        features = self.maxout(240, 4, "joint")(jnp.concatenate(both, axis=-1))
        logit = self.dense(1, "logit")(drop(features, self.dropout, "joint"))[:, 0]
        return logit.astype(self.param_dtype), features
