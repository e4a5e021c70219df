"""`GanState`: everything that a training step changes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from jaxgan.common.rng import stream
from jaxgan.models.variables import Networks, Variables, apply_network
from jaxgan.training.gan import Gan, example_inputs


class NetworkState(struct.PyTreeNode):
    """One network's parameters, BatchNorm moving statistics and optimiser state."""

    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> Variables:
        return Variables(self.params, self.batch_stats)


class GanState(struct.PyTreeNode):
    """Everything that a training step changes.

    Attributes:
      step: generator updates done, int32 [].
      attempt: number of rollbacks so far, int32 []; every random stream of a step depends on it.
      alive: bool [], False from the first step whose losses or gradients were not finite.
      generator, discriminator: the two networks.
      q: the head that predicts codes, or None without codes.
      ema: moving average of the generator, or None if it is off.
      ema_discriminator, ema_q: those of the discriminator and Q, or None.
    """

    step: jax.Array
    attempt: jax.Array
    alive: jax.Array
    generator: NetworkState
    discriminator: NetworkState
    q: NetworkState | None
    ema: Variables | None
    ema_discriminator: Variables | None = None
    ema_q: Variables | None = None


def initialise(gan: Gan, key: jax.Array) -> GanState:
    """The state before the first step, from the run's root key."""
    latent, image = example_inputs(gan)
    generator = _with_output_bias(gan, _network_state(gan, "generator", key, latent))
    discriminator = _network_state(gan, "discriminator", key, image, latent.condition)
    q = None
    if gan.q is not None:
        (_, features), _ = apply_network(
            gan.discriminator, discriminator.variables, image, latent.condition, train=False
        )
        q = _network_state(gan, "q", key, features)

    def average(network: NetworkState | None, decay: float) -> Variables | None:
        # Copied: a buffer that two leaves share cannot be donated twice.
        return jax.tree.map(jnp.copy, network.variables) if network and decay else None

    config = gan.config
    return GanState(
        step=jnp.zeros((), jnp.int32),
        attempt=jnp.zeros((), jnp.int32),
        alive=jnp.ones((), bool),
        generator=generator,
        discriminator=discriminator,
        q=q,
        ema=average(generator, config.ema_decay),
        ema_discriminator=average(discriminator, config.q.ema_decay if q else 0),
        ema_q=average(q, config.q.ema_decay),
    )


def _network_state(gan: Gan, name: str, key: jax.Array, *inputs: Any) -> NetworkState:
    module: nn.Module = getattr(gan, name)
    variables = module.init(stream(key, f"initialise/{name}"), *inputs, train=False)
    params = variables["params"]
    # BatchNorm initialises its statistics in float32 whatever the parameters' dtype is.
    stats = jax.tree.map(lambda x: x.astype(gan.dtype), variables.get("batch_stats", {}))
    return NetworkState(params, stats, gan.optimizers[name].init(params))


def _with_output_bias(gan: Gan, generator: NetworkState) -> NetworkState:
    """The generator with `gan.output_bias` in its last layer, "image"."""
    if gan.output_bias is None:
        return generator
    image = generator.params["image"]
    bias = jnp.asarray(gan.output_bias, image["bias"].dtype)
    return generator.replace(params={**generator.params, "image": {**image, "bias": bias}})


def networks(state: GanState) -> Networks:
    """The networks to sample from and evaluate: each one's moving average if it has one."""
    raw = raw_networks(state)
    return Networks(
        state.ema or raw.generator,
        state.ema_discriminator or raw.discriminator,
        state.ema_q or raw.q,
    )


def has_averages(state: GanState) -> bool:
    """Whether the state keeps the moving average of any network."""
    return any(x is not None for x in (state.ema, state.ema_discriminator, state.ema_q))


def raw_networks(state: GanState) -> Networks:
    """The networks as they are trained, without moving averages."""
    q = None if state.q is None else state.q.variables
    return Networks(state.generator.variables, state.discriminator.variables, q)


class Best(struct.PyTreeNode):
    """The networks at the evaluation with the highest score.

    Attributes:
      score: that of the metric `best_by` (`evaluation.registry.score`), negated if lower is better;
        float32 [], -inf before the first evaluation.
      step: the step, int32 [].
      networks: the networks at that step.
    """

    score: jax.Array
    step: jax.Array
    networks: Networks


def first_best(state: GanState) -> Best:
    """The current networks with a score of -inf, before the first evaluation."""
    score = jnp.full_like(state.step, -jnp.inf, dtype=jnp.float32)
    # Copied: the next step is given the state's own buffers.
    return jax.tree.map(jnp.copy, Best(score, state.step, networks(state)))


def keep_best(best: Best, state: GanState, score: jax.Array) -> Best:
    """`state`'s networks if `score` beats `best`'s, else `best`; NaN never wins. Leading axes, such
    as that of seeds, are those of `score`."""
    better = score > best.score

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - better.ndim)), new, old)

    return jax.tree.map(choose, Best(score, state.step, networks(state)), best)
