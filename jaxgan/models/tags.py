"""Tags for images (D3: Mirza and Osindero 2014, section 4.2): both networks are told an image's
features, and what is generated is the vector of a word that fits it."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.latents import Latent
from jaxgan.models.layers import Network, flat
from jaxgan.models.mlp import MaxoutDiscriminator, uniform


class Generator(Network):
    """Noise -> 500 ReLU, features -> 2000 ReLU, both -> a word's vector, linear: [B, 1, 1, D].
    Dropout after each of the two hidden layers.

    Attributes:
      image_shape: (1, 1, D), as the data has word vectors.
    """

    image_shape: tuple[int, int, int] = (1, 1, 200)
    dropout: float = 0.5
    sample_dropout: bool = False
    kernel_init: Callable[..., Any] = uniform(0.05)

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        still = not train and not self.sample_dropout

        def layer(x: jax.Array, features: int, name: str) -> jax.Array:
            x = nn.relu(self.dense(self.scaled(features), name)(x))
            return nn.Dropout(self.dropout, deterministic=still, name=f"{name}_dropout")(x)

        both = [layer(latent.noise, 500, "noise"), layer(latent.condition, 2000, "condition")]
        x = self.dense(self.image_shape[-1], "word")(jnp.concatenate(both, axis=-1))
        return x.reshape(-1, *self.image_shape).astype(self.param_dtype)


class Discriminator(MaxoutDiscriminator):
    """Word vector -> 500 ReLU, features -> 1200 ReLU, both -> maxout 1000 x 3 -> logit; dropout
    after each hidden layer, on the word vector its own: (logit [B], features [B, 1000])."""

    input_dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        def drop(x: jax.Array, rate: float, name: str) -> jax.Array:
            return nn.Dropout(rate, deterministic=not train, name=f"{name}_dropout")(x)

        word = drop(flat(x), self.input_dropout, "input")
        word = nn.relu(self.dense(self.scaled(500), "word")(word))
        told = nn.relu(self.dense(self.scaled(1200), "condition")(condition))
        both = [drop(word, self.dropout, "word"), drop(told, self.dropout, "condition")]
        features = self.maxout(1000, 3, "joint")(jnp.concatenate(both, axis=-1))
        logit = self.dense(1, "logit")(drop(features, self.dropout, "joint"))[:, 0]
        return logit.astype(self.param_dtype), features
