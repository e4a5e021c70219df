"""One training step as a pure function, written as if for one device and one seed.

The updates follow Goodfellow et al. 2014, algorithm 1: k discriminator steps, then one of the
generator. `training/terms.py` has the terms of the losses: the discriminator's on its examples, and
what InfoGAN, conditions and penalties add.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.common.rng import stream
from jaxgan.data.augment import augment, mirror
from jaxgan.data.batches import Batch
from jaxgan.data.pixels import to_network
from jaxgan.models.conditions import Features, Label
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan
from jaxgan.training.optimizers import moving_average
from jaxgan.training.state import GanState, NetworkState
from jaxgan.training.terms import (
    Examples,
    Metrics,
    class_loss,
    examples_term,
    features_for_q,
    information_term,
    penalty_term,
)

ByNetwork = dict[str, Any]  # One tree for each network that an update changes.

# Which examples each discriminator update sees, by the config's `discriminator_batches`.
DISCRIMINATOR_BATCHES = {
    "together": (("real", "fake"),),
    "real_fake": (("real",), ("fake",)),
    "fake_real": (("fake",), ("real",)),
}


class GeneratorInput(NamedTuple):
    """A latent and the generator's dropout key; the same input gives the same images."""

    latent: Latent
    dropout: jax.Array


def sample_input(
    gan: Gan, key: jax.Array, player: str, n: int, i: int, condition: Any
) -> GeneratorInput:
    """Samples the generator's input for n images in a player's i-th update of a step.

    Args:
      gan: the networks and their config.
      key: the step's key.
      player: "discriminator" or "generator".
      n: number of images.
      i: number of the update, from 0.
      condition: condition of the real examples. The generator gets the same one, unless
        `gan.condition.prior` is "uniform", which samples other labels.
    """
    latent = gan.latent.sample(stream(key, f"latent/{player}", i), n)
    if isinstance(gan.condition, Label) and gan.condition.prior == "uniform":
        condition = gan.condition.draw(stream(key, f"condition/{player}", i), n, gan.dtype)
    latent = latent._replace(condition=condition)
    return GeneratorInput(latent, stream(key, f"dropout/{player}", i))


class GeneratedBatch(NamedTuple):
    """Generated images and their pass through the generator.

    Attributes:
      images: in the network's range, [B, H, W, C].
      batch_stats: the generator's BatchNorm statistics after the pass.
      pull_back: maps a gradient for the images to the gradient for the generator's parameters.
    """

    images: jax.Array
    batch_stats: Any
    pull_back: Callable[[jax.Array], tuple[Any]]


def generate(gan: Gan, generator: NetworkState, draw: GeneratorInput) -> GeneratedBatch:
    """Runs the generator once in training mode, so that both networks' updates can use the
    images."""

    def forward(params: Any) -> tuple[jax.Array, Any]:
        variables = Variables(params, generator.batch_stats)
        return apply_network(
            gan.generator, variables, draw.latent, train=True, dropout=draw.dropout
        )

    images, pull_back, stats = jax.vjp(forward, generator.params, has_aux=True)
    return GeneratedBatch(images, stats, pull_back)


def discriminator_update(
    gan: Gan, state: GanState, real: Examples | None, fake: Examples | None, key: jax.Array
) -> tuple[GanState, Metrics]:
    """One update of the discriminator on real examples, generated ones, or both.

    Real and generated examples go through the discriminator in two calls, each with its own batch
    statistics. With `information="paper"` the information term updates Q's head and the trunk here.

    Args:
      gan: the networks and their config.
      state: before the update.
      key: the update's key.
      real, fake: the examples; one of them may be None.

    Returns:
      The new state, with the generator unchanged, and metrics: mean losses (in nats for cross
      entropies), the penalty, mean logits, and the shares of examples classified correctly.
    """
    config = gan.config
    if real is not None:
        real = real._replace(images=_augmented(gan, real.images, key, "real"))
    if fake is not None:
        fake = fake._replace(images=_augmented(gan, fake.images, key, "fake"))
    learner = state.q if fake is not None and config.information == "paper" else None
    players = {"discriminator": state.discriminator} | ({} if learner is None else {"q": learner})

    def loss(params: ByNetwork) -> tuple[jax.Array, tuple[Metrics, ByNetwork]]:
        stats = {"discriminator": state.discriminator.batch_stats}
        metrics: Metrics = {}
        total = jnp.zeros((), gan.dtype)
        for name, examples in (("real", real), ("fake", fake)):
            if examples is None:
                continue
            variables = Variables(params["discriminator"], stats["discriminator"])
            term, terms, features, stats["discriminator"] = examples_term(
                gan, name, variables, examples, key
            )
            metrics |= terms
            total += term
            if learner is not None and name == "fake":
                features = features_for_q(gan, variables, examples.images, features, key)
                q = Variables(params["q"], learner.batch_stats)
                term, terms, stats["q"] = information_term(gan, q, features, examples.codes)
                metrics |= terms
                total += term
        before = Variables(params["discriminator"], state.discriminator.batch_stats)
        term, terms = penalty_term(gan, before, real, fake, state.step, key)
        return total + term, (metrics | terms, stats)

    params = {name: player.params for name, player in players.items()}
    gradients, (metrics, stats) = jax.grad(loss, has_aux=True)(params)
    return _apply_gradients(gan, state, players, gradients, stats, metrics)


def generator_update(
    gan: Gan, state: GanState, draw: GeneratorInput, fake: GeneratedBatch, key: jax.Array
) -> tuple[GanState, Metrics]:
    """One update of the generator, through a fixed discriminator.

    With `information="document"` Q's head is updated too, but not the trunk. The information term
    is weighted with `lambda_generator` for the generator alone: at 0 only Q learns from it, as in
    the control of Chen et al. 2016, figure 1.

    Args:
      gan: the networks and their config.
      state: before the update.
      key: the update's key.
      draw, fake: the generator's input, and the images that `state.generator` made of it.

    Returns:
      The new state, with the discriminator (parameters, statistics, optimiser) unchanged, and the
      mean losses.
    """
    learner = state.q if gan.config.information == "document" else None
    heads = {} if learner is None else {"q": learner}

    def loss(images: jax.Array, params: ByNetwork) -> tuple[jax.Array, tuple[Metrics, ByNetwork]]:
        stats: ByNetwork = {"generator": fake.batch_stats}
        variables, condition = state.discriminator.variables, draw.latent.condition
        images = _augmented(gan, images, key, "fake")
        dropout = stream(key, "dropout/fake")
        (logits, features), _ = apply_network(
            gan.discriminator, variables, images, condition, train=True, dropout=dropout
        )
        targets = jnp.full_like(logits, gan.generator_target)
        total = gan.config.generator_factor * jnp.mean(gan.adversarial.generator(logits, targets))
        metrics = {"loss/generator": total}
        if gan.config.condition.how == "auxiliary":
            metrics["loss/class"] = class_loss(gan, variables, features, condition)
            total += metrics["loss/class"]
        if state.q is not None:
            features = features_for_q(gan, variables, images, features, key)
            features = scale_gradient(features, gan.config.lambda_generator)
            q = Variables(params.get("q", state.q.params), state.q.batch_stats)
            term, terms, q_stats = information_term(gan, q, features, draw.latent.codes)
            metrics |= terms
            total += term
            if learner is not None:
                stats["q"] = q_stats
        return total, (metrics, stats)

    params = {name: head.params for name, head in heads.items()}
    differentiate = jax.grad(loss, (0, 1), has_aux=True)
    (image_gradient, gradients), (metrics, stats) = differentiate(fake.images, params)
    gradients["generator"] = fake.pull_back(image_gradient)[0]
    players = {"generator": state.generator} | heads
    return _apply_gradients(gan, state, players, gradients, stats, metrics)


def _augmented(gan: Gan, images: jax.Array, key: jax.Array, name: str) -> jax.Array:
    """Real or generated images as the discriminator sees them, with the config's `augment`."""
    return augment(stream(key, f"augment/{name}"), images, gan.augmentations, gan.low)


def scale_gradient(x: jax.Array, factor: float) -> jax.Array:
    """`x`, with `factor` times its gradient."""
    return x if factor == 1 else factor * x + (1 - factor) * jax.lax.stop_gradient(x)


def _apply_gradients(
    gan: Gan,
    state: GanState,
    players: ByNetwork,
    gradients: ByNetwork,
    stats: ByNetwork,
    metrics: Metrics,
) -> tuple[GanState, Metrics]:
    """Updates `players`, unless a loss or gradient is not finite, now or in an earlier update."""
    for name in players:
        # As dot products, for which XLA has faster code than for sums of squares.
        leaves = jax.tree.leaves(gradients[name])
        metrics[f"gradient/{name}"] = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in leaves))
    finite = jnp.all(jnp.isfinite(jnp.stack(list(metrics.values()))))
    alive = state.alive & finite

    def move(players: ByNetwork) -> ByNetwork:
        moved = {}
        for name, player in players.items():
            update, params = gan.optimizers[name].update, player.params
            updates, opt_state = update(gradients[name], player.opt_state, params)
            params = optax.apply_updates(params, updates)
            moved[name] = NetworkState(params, stats[name], opt_state)
        return moved

    # Not jnp.where, which copies the old and the new values: on the CPU that costs more than Adam
    # itself (6.4 million parameters, one core: 32 -> 12 ms with cond).
    moved = jax.lax.cond(alive, move, lambda players: players, players)
    return state.replace(alive=alive, **moved), metrics


def train_step(
    gan: Gan,
    state: GanState,
    batch: Batch,
    key: jax.Array,
    shard: Callable[[Any], Any] = lambda batch: batch,
) -> tuple[GanState, Metrics]:
    """k discriminator steps and one generator update; returns the new state and scalar metrics.

    An update whose losses or gradients are not finite only sets `alive` to False; every later
    update and step leaves the state unchanged. The metrics include "alive".

    Args:
      gan: the networks and their config.
      state: before the step.
      batch: the real examples: images, uint8 [k, B, H, W, C] (points and word vectors: floats);
        labels, int32 [k, B], or features [k, B, F], where the condition is made of them.
      key: the run's root key; the step and the attempt are folded in here.
      shard: splits a batch along axis 0 over the devices.
    """
    config = gan.config
    key = stream(key, "step", state.attempt, state.step)
    metrics = Metrics()
    real = [_real_examples(gan, batch, i, key, shard) for i in range(config.discriminator_steps)]

    def sample(player: str, n: int, i: int) -> GeneratorInput:
        draw = sample_input(gan, key, player, n, i, real[i].condition)
        return draw._replace(latent=shard(draw.latent))

    draw, fake = None, None
    if config.order == "generator_first":
        draw = sample("generator", config.batch_size, 0)
        fake = generate(gan, state.generator, draw)
        state, metrics = generator_update(gan, state, draw, fake, stream(key, "generator"))
    for i in range(config.discriminator_steps):
        if draw is None or config.fresh_noise or i > 0:
            draw = sample("discriminator", gan.discriminator_batch_size, i)
        before = state
        fake = generate(gan, state.generator, draw)
        generated = Examples(fake.images, draw.latent.condition, draw.latent.codes)
        update_key = stream(key, "discriminator", i)
        state, terms = _discriminator_step(gan, state, real[i], generated, update_key)
        metrics |= terms
    if config.order != "generator_first":
        if config.fresh_noise:
            draw = sample("generator", config.batch_size, 0)
            fake = generate(gan, state.generator, draw)
        assert draw is not None
        assert fake is not None
        # In the code of Goodfellow et al. 2014 both players see one dropout mask.
        shared = config.discriminator.shared_dropout
        generator_key = update_key if shared else stream(key, "generator")
        state, terms = _generator_step(gan, state, before, draw, fake, generator_key)
        metrics |= terms
    metrics["loss/discriminator"] = _discriminator_loss(gan, metrics)
    state = _update_averages(gan, state)
    state = state.replace(step=state.step + state.alive)
    return state, metrics | {"alive": state.alive}


def _discriminator_step(
    gan: Gan, state: GanState, real: Examples, fake: Examples, key: jax.Array
) -> tuple[GanState, Metrics]:
    """One update on real and generated examples together, or one on each."""
    metrics = Metrics()
    for names in DISCRIMINATOR_BATCHES[gan.config.discriminator_batches]:
        shown = (real if "real" in names else None, fake if "fake" in names else None)
        state, terms = discriminator_update(gan, state, *shown, key)
        metrics |= terms
    return state, metrics


def _generator_step(
    gan: Gan,
    state: GanState,
    before: GanState,
    draw: GeneratorInput,
    fake: GeneratedBatch,
    key: jax.Array,
) -> tuple[GanState, Metrics]:
    """The generator's update after the discriminator's.

    With order="simultaneous" it sees the discriminator of `before`, the state before the last
    discriminator step, which may have been two updates.
    """
    seen = before if gan.config.order == "simultaneous" else state
    updated, metrics = generator_update(gan, seen.replace(alive=state.alive), draw, fake, key)
    state = state.replace(generator=updated.generator, alive=updated.alive)
    if gan.config.information == "document":
        state = state.replace(q=updated.q)
    return state, metrics


def _discriminator_loss(gan: Gan, metrics: Metrics) -> jax.Array:
    """The sum of the discriminator's adversarial losses in one step, a scalar."""
    parts = ("real", "fake") + (("mismatched",) if gan.config.mismatched_factor else ())
    return jnp.sum(jnp.stack([metrics[f"loss/discriminator_{name}"] for name in parts]))


def _update_averages(gan: Gan, state: GanState) -> GanState:
    """Returns the state with its moving averages updated."""
    averages: ByNetwork = {}
    network: Any
    for name, network, decay in (
        ("ema", state.generator, gan.config.ema_decay),
        ("ema_discriminator", state.discriminator, gan.config.q.ema_decay),
        ("ema_q", state.q, gan.config.q.ema_decay),
    ):
        if getattr(state, name) is not None:
            averages[name] = getattr(state, name), network.variables, decay

    def update(averages: ByNetwork) -> ByNetwork:
        return {
            name: moving_average(average, now, decay, state.step)
            for name, (average, now, decay) in averages.items()
        }

    def keep(averages: ByNetwork) -> ByNetwork:
        return {name: average for name, (average, _, _) in averages.items()}

    return state.replace(**jax.lax.cond(state.alive, update, keep, averages)) if averages else state


def _real_examples(
    gan: Gan, batch: Batch, i: int, key: jax.Array, shard: Callable[[Any], Any]
) -> Examples:
    """The real examples of discriminator step i."""
    images = to_network(batch.images[i], gan.low, gan.dtype)
    if gan.config.dataset.mirror:
        images = mirror(stream(key, "mirror", i), images)
    if gan.condition is None:
        return shard(Examples(images))
    given = batch.features if isinstance(gan.condition, Features) else batch.labels
    given = None if given is None else given[i]
    return shard(Examples(images, gan.condition.of(images, given, gan.dtype)))
