"""Ways of conditioning a discriminator that do not depend on its layers: each is a module around an
unconditional discriminator (images, condition, train) -> (logit, features)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan.models.layers import Dense

Output = tuple[jax.Array, jax.Array]


class Projection(nn.Module):
    """A projection discriminator: the logit plus the inner product of the features with a learned
    embedding of the condition (Miyato and Koyama 2018, eq. 3): (logit [B], features [B, F]).

    Without a condition the logit is the inner discriminator's.

    Attributes:
      spectral: whether the embedding is spectrally normalised, as in the source.
    """

    discriminator: nn.Module
    spectral: bool = False
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> Output:
        logit, features = self.discriminator(x, None, train)
        if condition is None:
            return logit, features
        embedding = Dense(
            features.shape[-1],
            use_bias=False,
            spectral=self.spectral,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="embedding",
        )
        product = jnp.sum(features * embedding(condition), axis=-1)
        return logit + product.astype(logit.dtype), features


class AuxiliaryClassifier(nn.Module):
    """A discriminator that also classifies (Odena et al. 2017, section 3): the logit does not
    depend on the condition, and `classify` predicts it from the features.

    Attributes:
      classes: number of classes, K.
    """

    discriminator: nn.Module
    classes: int
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self) -> None:
        self.class_logits = Dense(self.classes, dtype=self.dtype, param_dtype=self.param_dtype)

    def __call__(self, x: jax.Array, condition: Any, train: bool) -> Output:
        del condition
        logit, features = self.discriminator(x, None, train)
        if self.is_initializing():
            self.classify(features)
        return logit, features

    def classify(self, features: jax.Array) -> jax.Array:
        """Logits of the classes: [B, F] -> [B, K]."""
        return self.class_logits(features).astype(self.param_dtype)


def conditioned(
    config: ConfigDict, discriminator: nn.Module, classes: int, dtype: Any
) -> nn.Module:
    """The discriminator with the config's `condition.how`.

    Args:
      config: a validated config.
      discriminator: takes None for a condition, unless `condition.how` is "concatenate".
      classes: number of labels; 0 without.
      dtype: type of the parameters.
    """
    types = {"dtype": jnp.bfloat16 if config.dtype == "bfloat16" else dtype, "param_dtype": dtype}
    spectral = config.discriminator.norm == "spectral"
    if config.condition.how == "projection":
        return Projection(discriminator, spectral, **types)
    if config.condition.how == "auxiliary":
        return AuxiliaryClassifier(discriminator, classes, **types)
    return discriminator
