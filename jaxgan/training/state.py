"""What is fixed in a run (`Gan`) and what a step changes (`GanState`)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from jaxgan.common.rng import stream
from jaxgan.models.variables import Networks, Variables, apply_network
from jaxgan.training.gan import Gan, example_inputs


class NetworkState(struct.PyTreeNode):
    """One network's numbers: parameters, BatchNorm's moving statistics, the optimiser's state."""

    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> Variables:
        return Variables(self.params, self.batch_stats)


class GanState(struct.PyTreeNode):
    """Everything that a step changes.

    Attributes:
      step: generator updates done, int32 [].
      attempt: how often the run was rolled back, int32 []; enters every stream of the step.
      alive: False from the first step on whose losses or gradients were not finite, bool [].
      generator, discriminator: the players.
      q: the head that reads codes, or None where there are no codes.
      ema: the generator's moving average, or None where it is off.
    """

    step: jax.Array
    attempt: jax.Array
    alive: jax.Array
    generator: NetworkState
    discriminator: NetworkState
    q: NetworkState | None
    ema: Variables | None


def initialise(gan: Gan, key: jax.Array) -> GanState:
    """The state before the first step; `key` is the run's root key."""
    latent, image = example_inputs(gan)
    generator = _network_state(gan, "generator", key, latent)
    discriminator = _network_state(gan, "discriminator", key, image, latent.condition)
    q = None
    if gan.q is not None:
        (_, features), _ = apply_network(
            gan.discriminator, discriminator.variables, image, latent.condition, train=False
        )
        q = _network_state(gan, "q", key, features)
    return GanState(
        step=jnp.zeros((), jnp.int32),
        attempt=jnp.zeros((), jnp.int32),
        alive=jnp.ones((), bool),
        generator=generator,
        discriminator=discriminator,
        q=q,
        # Copied, not shared: two names for one buffer cannot both be donated.
        ema=jax.tree.map(jnp.copy, generator.variables) if gan.config.ema_decay else None,
    )


def _network_state(gan: Gan, name: str, key: jax.Array, *inputs: Any) -> NetworkState:
    module: nn.Module = getattr(gan, name)
    variables = module.init(stream(key, f"initialise/{name}"), *inputs, train=False)
    params = variables["params"]
    # BatchNorm begins in float32 whatever the parameters are: the first step would change the type.
    stats = jax.tree.map(lambda x: x.astype(gan.dtype), variables.get("batch_stats", {}))
    return NetworkState(params, stats, gan.optimizers[name].init(params))


def networks(state: GanState) -> Networks:
    """The networks of a state as it stands."""
    return Networks(
        state.generator.variables if state.ema is None else state.ema,
        state.discriminator.variables,
        None if state.q is None else state.q.variables,
    )


class Best(struct.PyTreeNode):
    """The networks at the step where the measure that picks the best was highest.

    Attributes:
      score: of the measure, float32 []; -inf before the first evaluation.
      step: int32 [].
      networks: at that step.
    """

    score: jax.Array
    step: jax.Array
    networks: Networks


def first_best(state: GanState) -> Best:
    """No evaluation yet: the networks as they stand, with a score that anything beats."""
    score = jnp.full_like(state.step, -jnp.inf, dtype=jnp.float32)
    # Copied: the state's own arrays are given to the next step.
    return jax.tree.map(jnp.copy, Best(score, state.step, networks(state)))


def keep_best(best: Best, state: GanState, score: jax.Array) -> Best:
    """`state`'s networks where their score is higher than the best one's, else the best as it is.

    A score that is not a number never wins. Arrays may have leading axes, as `score` has.
    """
    better = score > best.score

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - better.ndim)), new, old)

    return jax.tree.map(choose, Best(score, state.step, networks(state)), best)
