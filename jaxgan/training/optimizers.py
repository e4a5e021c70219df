"""Optimisers from the config, and the moving average of parameters."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict


def optimizer(settings: ConfigDict) -> optax.GradientTransformation:
    """The optimiser of one network, from its group of config keys.

    "adam" (Kingma and Ba 2015), "adadelta" (Zeiler 2012; the paper's learning rate is 1) or "sgd"
    (`momentum_descent`). If `clip` is above 0, gradients are first clipped elementwise to
    [-clip, clip].
    """
    if settings.optimizer == "adam":
        rule = optax.adam(
            settings.learning_rate, b1=settings.beta1, b2=settings.beta2, eps=settings.epsilon
        )
    elif settings.optimizer == "adadelta":
        rule = optax.adadelta(settings.learning_rate, rho=settings.rho, eps=settings.epsilon)
    else:
        rule = momentum_descent(
            settings.learning_rate,
            settings.rate_divisor,
            settings.lowest_rate,
            settings.momentum,
            settings.final_momentum,
            settings.momentum_steps,
        )
    return optax.chain(optax.clip(settings.clip), rule) if settings.clip else rule


class MomentumState(NamedTuple):
    """The number of updates, int32 [], and the velocity, a tree like the parameters."""

    updates: jax.Array
    velocity: Any


def momentum_descent(
    rate: float, divisor: float, lowest: float, first: float, last: float, ramp: int
) -> optax.GradientTransformation:
    """Gradient descent with rising momentum and a decaying learning rate, which trained the
    original GAN (Goodfellow et al. 2014): velocity = momentum * velocity - rate * gradient.

    Args:
      rate: learning rate of the first update.
      divisor: the rate is divided by this after each update.
      lowest: lower bound of the rate.
      first, last, ramp: the momentum rises linearly from `first` to `last` over `ramp` updates and
        stays there; with a ramp of 0 it is `first` for the first update only.
    """

    def init(params: Any) -> MomentumState:
        return MomentumState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(gradients: Any, state: MomentumState, params: Any = None) -> Any:
        del params
        count = state.updates.astype(jnp.float32)
        # Not divisor**count: float32 rounds 1.000004 to 1.0000039, 1 % off after 100,000 updates.
        rate_now = jnp.maximum(rate * jnp.exp(-count * math.log(divisor)), lowest)
        momentum = first + (last - first) * jnp.minimum(count / max(ramp, 1), 1.0)

        def move(velocity: jax.Array, gradient: jax.Array) -> jax.Array:
            dtype = velocity.dtype
            return momentum.astype(dtype) * velocity - rate_now.astype(dtype) * gradient

        velocity = jax.tree.map(move, state.velocity, gradients)
        return velocity, MomentumState(state.updates + 1, velocity)

    return optax.GradientTransformation(init, update)


def moving_average(average: Any, now: Any, decay: float, updates: jax.Array) -> Any:
    """d * average + (1 - d) * now, leaf by leaf, with d = min(decay, (1 + t) / (10 + t)), so that
    the initial weights are soon forgotten (as `num_updates` in TensorFlow's
    ExponentialMovingAverage).

    Args:
      average, now: trees of the same structure, shapes and dtypes.
      decay: in [0, 1].
      updates: the number t of earlier updates, int32 [].
    """

    def move(old: jax.Array, new: jax.Array) -> jax.Array:
        t = updates.astype(old.dtype)
        d = jnp.minimum(decay, (1 + t) / (10 + t))
        return d * old + (1 - d) * new

    return jax.tree.map(move, average, now)
