"""Word vectors for images (configs/tags.py; Mirza and Osindero 2014, section 4.2): the condition is
an image's features, and the generator makes the vector of a word that fits the image."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.latents import Latent
from jaxgan.models.layers import flat
from jaxgan.models.mlp import DropoutGenerator, MaxoutDiscriminator


class Generator(DropoutGenerator):
    """Noise -> 500, features -> 2000, each with ReLU and dropout; both -> a linear word vector,
    [B, 1, 1, D]. `image_shape` is (1, 1, D), the shape of a word vector in the data."""

    image_shape: tuple[int, int, int] = (1, 1, 200)

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        layer = functools.partial(self.hidden, train=train)
        both = [layer(latent.noise, 500, "noise"), layer(latent.condition, 2000, "condition")]
        x = self.dense(self.image_shape[-1], "word")(jnp.concatenate(both, axis=-1))
        return x.reshape(-1, *self.image_shape).astype(self.param_dtype)


class Discriminator(MaxoutDiscriminator):
    """Word vector -> 500 ReLU, features -> 1200 ReLU, both -> maxout 1000 x 3 -> logit:
    (logit [B], features [B, 1000]). Dropout after each hidden layer; the word vector has its own
    rate."""

    input_dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        drop = functools.partial(self.drop, train=train)
        word = drop(flat(x), self.input_dropout, "input")
        word = nn.relu(self.dense(self.scaled(500), "word")(word))
        both = [drop(word, self.dropout, "word")]
        if condition is not None:
            features = nn.relu(self.dense(self.scaled(1200), "condition")(condition))
            both.append(drop(features, self.dropout, "condition"))
        features = self.maxout(1000, 3, "joint")(jnp.concatenate(both, axis=-1))
        logit = self.dense(1, "logit")(drop(features, self.dropout, "joint"))[:, 0]
        return logit.astype(self.param_dtype), features
