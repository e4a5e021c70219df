"""Penalties on the gradient of the discriminator's logit with respect to its input, one value per
example. With D(x) the logit, and the norm over all of an example's pixels and channels:

    name      value                  at                          source
    gradient  (||grad D(x)|| - 1)^2  points between x and G(z)   Gulrajani et al. 2017, eq. 3
    r1        ||grad D(x)||^2 / 2    real examples x             Mescheder et al. 2018, eq. 9
    r2        ||grad D(x)||^2 / 2    generated examples G(z)     Mescheder et al. 2018, eq. 10

The step multiplies their mean by `penalty.weight`, which the first paper calls lambda and the
second gamma.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]


def squared_gradient_norms(critic: Critic, x: jax.Array) -> jax.Array:
    """||grad D(x)||^2 of each example: [B, ...] -> [B].

    Args:
      critic: maps examples [B, ...] to logits [B], each example by itself. (With BatchNorm a logit
        depends on the whole batch, and so do these gradients.)
      x: floating point, [B, ...].
    """
    gradients = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    return jnp.sum(jnp.square(gradients).reshape(len(x), -1), axis=1)


def one_centred(critic: Critic, x: jax.Array) -> jax.Array:
    """(||grad D(x)|| - 1)^2: [B, ...] -> [B] (Gulrajani et al. 2017, eq. 3)."""
    squared = squared_gradient_norms(critic, x)
    # The square root has no finite derivative at 0; there this penalty has the derivative 0.
    positive = squared > 0
    norms = jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)
    return jnp.square(norms - 1)


def zero_centred(critic: Critic, x: jax.Array) -> jax.Array:
    """||grad D(x)||^2 / 2: [B, ...] -> [B] (Mescheder et al. 2018, eq. 9 and 10)."""
    return squared_gradient_norms(critic, x) / 2


def between(key: jax.Array, real: jax.Array, fake: jax.Array) -> jax.Array:
    """A point drawn uniformly from the line between each real and each generated example.

    Args:
      key: PRNG key.
      real, fake: of the same shape, [B, ...].

    Raises:
      ValueError: if the shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f"points between need equal shapes, got {real.shape} and {fake.shape}")
    share = jax.random.uniform(key, (len(real), *(1,) * (real.ndim - 1)), real.dtype)
    return real + share * (fake - real)
