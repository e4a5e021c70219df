"""InfoGAN's information term (Chen et al. 2016, section 5): -log Q(c | x) of eq. 5, per example and
code. Q is a softmax for a categorical code and a Gaussian for a continuous one (section 6)."""

import math

import jax
import jax.numpy as jnp

from jaxgan.losses.adversarial import require_equal_shapes
from jaxgan.models.infogan import CategoricalParameters, CodeParameters, GaussianParameters


def categorical_cross_entropy(logits: jax.Array, one_hot: jax.Array) -> jax.Array:
    """-log Q(c | x) of a categorical code, in nats: logits and one-hot codes [B, K] -> [B]
    (Chen et al. 2016, eq. 5, first term)."""
    require_equal_shapes(logits, one_hot)
    return -jnp.sum(one_hot * jax.nn.log_softmax(logits), axis=-1)


def gaussian_negative_log_likelihood(
    mean: jax.Array, log_deviation: jax.Array, value: jax.Array
) -> jax.Array:
    """-log N(value; mean, deviation^2), in nats, summed over the last axis: three [B, D] -> [B].
    `log_deviation` is the logarithm of the standard deviation."""
    require_equal_shapes(mean, log_deviation, value)
    z = (value - mean) * jnp.exp(-log_deviation)
    return jnp.sum(jnp.square(z) / 2 + log_deviation + math.log(2 * math.pi) / 2, axis=-1)


def squared_error(prediction: jax.Array, value: jax.Array) -> jax.Array:
    """(prediction - value)^2 summed over the last axis: [B, D], [B, D] -> [B]."""
    require_equal_shapes(prediction, value)
    return jnp.sum(jnp.square(prediction - value), axis=-1)


def code_loss(parameters: CodeParameters, code: jax.Array) -> jax.Array:
    """-log Q(c | x) in nats, or the squared error of a point estimate: [B]."""
    if isinstance(parameters, CategoricalParameters):
        return categorical_cross_entropy(parameters.logits, code)
    if isinstance(parameters, GaussianParameters):
        return gaussian_negative_log_likelihood(parameters.mean, parameters.log_deviation, code)
    return squared_error(parameters.mean, code)
