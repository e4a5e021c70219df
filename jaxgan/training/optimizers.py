"""Optimisers from the config, and the moving average of the generator."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict


def optimizer(settings: ConfigDict) -> optax.GradientTransformation:
    """The optimiser that one player's group of keys asks for.

    "adam" (Kingma and Ba 2015), "adadelta" (Zeiler 2012; its learning rate is 1 in the paper) or
    "sgd" (`momentum_descent`). With `clip` above 0 each element of a gradient is first clipped to
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
    """Updates done, int32 [], and the velocity, a tree like the parameters."""

    updates: jax.Array
    velocity: Any


def momentum_descent(
    rate: float, divisor: float, lowest: float, first: float, last: float, ramp: int
) -> optax.GradientTransformation:
    """Gradient descent with a rising momentum and a falling rate, as the original GAN was trained.

    velocity = momentum * velocity - rate * gradient, and the parameters move by the velocity.

    Args:
      rate: of the first update.
      divisor: the rate is divided by it after each update.
      lowest: the rate falls no further.
      first, last, ramp: the momentum rises linearly from first to last over `ramp` updates and
        stays there (a ramp of 0 ends at once).
    """

    def init(params: Any) -> MomentumState:
        return MomentumState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(gradients: Any, state: MomentumState, params: Any = None) -> Any:
        del params
        count = state.updates.astype(jnp.float32)
        # 1.000004 is 1.0000039 in float32: after 100,000 powers that is an error of 1 %.
        rate_now = jnp.maximum(rate * jnp.exp(-count * math.log(divisor)), lowest)
        momentum = first + (last - first) * jnp.minimum(count / max(ramp, 1), 1.0)

        def move(velocity: jax.Array, gradient: jax.Array) -> jax.Array:
            kind = velocity.dtype
            return momentum.astype(kind) * velocity - rate_now.astype(kind) * gradient

        velocity = jax.tree.map(move, state.velocity, gradients)
        return velocity, MomentumState(state.updates + 1, velocity)

    return optax.GradientTransformation(init, update)


def moving_average(average: Any, now: Any, decay: float) -> Any:
    """decay * average + (1 - decay) * now, leaf by leaf: parameters and statistics alike."""
    return jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, average, now)
