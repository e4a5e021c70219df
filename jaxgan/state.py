"""What is fixed in a run (`Gan`) and what a step changes (`GanState`)."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan.conditions import Condition, Features
from jaxgan.latents import Latent, LatentSpec
from jaxgan.losses import Adversarial
from jaxgan.rng import stream


class Variables(NamedTuple):
    """A network's numbers without its optimiser's: what it takes to run it."""

    params: Any
    batch_stats: Any


class Player(struct.PyTreeNode):
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
    generator: Player
    discriminator: Player
    q: Player | None
    ema: Variables | None


@dataclasses.dataclass(frozen=True)
class Gan:
    """What is fixed in a run: the networks, what feeds them, and the rules of the game.

    Attributes:
      generator, discriminator, q: Linen modules; `q` is None without codes.
      optimizers: one optax optimiser for each player, by name.
      latent: the prior of the generator's noise and codes.
      condition: what both networks are told besides, or None.
      image_shape: (H, W, C).
      low: the lower end of the images' range: -1 (tanh) or 0 (sigmoid).
      adversarial: the two sides of the adversarial loss.
      real_target, fake_target, generator_target: its targets.
      real_factor, fake_factor, generator_factor: of its terms.
      information: who learns from the information term besides the generator: "document", Q's own
        head, in the generator's update; "paper", the trunk and Q's head, in the discriminator's.
      code_weights: lambda of each code.
      learned_deviation: whether Q says how sure it is of a continuous code.
      batch_size: of the generator's update.
      discriminator_batch_size: real examples, and as many generated ones, in a discriminator step.
      discriminator_steps: for each generator update (k in Goodfellow et al. 2014, algorithm 1).
      discriminator_batches: "together", one update on both; "real_fake" or "fake_real", two.
      order: "discriminator_first"; "generator_first"; or "simultaneous", the generator through the
        discriminator as it was before its last step.
      fresh_noise: whether the generator's update draws noise of its own.
      ema_decay: of the generator's moving average, 0 for none.
      dtype: of the images and losses.
    """

    generator: nn.Module
    discriminator: nn.Module
    q: nn.Module | None
    optimizers: dict[str, optax.GradientTransformation]
    latent: LatentSpec
    condition: Condition | None
    image_shape: tuple[int, int, int]
    low: float
    adversarial: Adversarial
    real_target: float
    fake_target: float
    generator_target: float
    real_factor: float
    fake_factor: float
    generator_factor: float
    information: str
    code_weights: tuple[float, ...]
    learned_deviation: bool
    batch_size: int
    discriminator_batch_size: int
    discriminator_steps: int
    discriminator_batches: str
    order: str
    fresh_noise: bool
    ema_decay: float
    dtype: Any = jnp.float32


def initialise(gan: Gan, key: jax.Array) -> GanState:
    """The state before the first step; `key` is the run's root key."""
    latent, image = example_inputs(gan)
    generator = _player(gan, "generator", key, latent)
    discriminator = _player(gan, "discriminator", key, image, latent.condition)
    q = None
    if gan.q is not None:
        (_, features), _ = run(
            gan.discriminator, discriminator.variables, image, latent.condition, train=False
        )
        q = _player(gan, "q", key, features)
    return GanState(
        step=jnp.zeros((), jnp.int32),
        attempt=jnp.zeros((), jnp.int32),
        alive=jnp.ones((), bool),
        generator=generator,
        discriminator=discriminator,
        q=q,
        # Copied, not shared: two names for one buffer cannot both be donated.
        ema=jax.tree.map(jnp.copy, generator.variables) if gan.ema_decay else None,
    )


def example_inputs(gan: Gan) -> tuple[Latent, jax.Array]:
    """A latent and images, two of each, of the shapes that the networks are made for."""
    image = jnp.zeros((2, *gan.image_shape), gan.dtype)
    latent = gan.latent.sample(jax.random.key(0), 2)
    if gan.condition is not None:
        beside = jnp.zeros(2, jnp.int32)
        if isinstance(gan.condition, Features):
            beside = jnp.zeros((2, gan.condition.size))
        told = gan.condition.of(image, beside, gan.dtype)
        latent = latent._replace(condition=told)
    return latent, image


def _player(gan: Gan, name: str, key: jax.Array, *inputs: Any) -> Player:
    module: nn.Module = getattr(gan, name)
    variables = module.init(stream(key, f"initialise/{name}"), *inputs, train=False)
    params = variables["params"]
    # BatchNorm begins in float32 whatever the parameters are: the first step would change the type.
    stats = jax.tree.map(lambda x: x.astype(gan.dtype), variables.get("batch_stats", {}))
    return Player(params, stats, gan.optimizers[name].init(params))


def run(
    module: nn.Module, variables: Variables, *inputs: Any, train: bool, dropout: Any = None
) -> tuple[Any, Any]:
    """Runs a network.

    Args:
      module: the network.
      variables: its parameters and statistics.
      *inputs: the network's own.
      train: batch statistics if true, moving statistics otherwise.
      dropout: the key of its dropout, where it has any.

    Returns:
      Its output, and its moving statistics after the pass (as they came where train is false).
    """
    tree = {"params": variables.params, "batch_stats": variables.batch_stats}
    rngs = {} if dropout is None else {"dropout": dropout}
    if not train:
        return module.apply(tree, *inputs, train=False, rngs=rngs), variables.batch_stats
    output, changed = module.apply(tree, *inputs, train=True, mutable=["batch_stats"], rngs=rngs)
    return output, changed.get("batch_stats", {})


class Networks(NamedTuple):
    """What it takes to sample from a run and to read its images: the generator that samples (its
    moving average where there is one), the discriminator, and `q`, None without codes."""

    generator: Variables
    discriminator: Variables
    q: Variables | None


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
