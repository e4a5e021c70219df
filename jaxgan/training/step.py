"""One step of the game, pure, written as if for one device and one seed.

The equations: Goodfellow et al. 2014, algorithm 1 (the order of the updates, k discriminator
steps); Chen et al. 2016, eq. 6 (the information term, and who learns from it).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.common.rng import stream
from jaxgan.data.batches import Batch
from jaxgan.data.pixels import to_network
from jaxgan.losses.information import code_loss
from jaxgan.models.conditions import Features, Label
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training import optimizers
from jaxgan.training.gan import Gan
from jaxgan.training.state import GanState, NetworkState

Metrics = dict[str, jax.Array]


class Examples(NamedTuple):
    """What the discriminator is shown: images in the network's range, [B, H, W, C], the condition
    that goes with them, and the codes that they were made of (none for real ones)."""

    images: jax.Array
    condition: Any = None
    codes: tuple[jax.Array, ...] = ()


class GeneratorInput(NamedTuple):
    """A latent and the key of the generator's dropout: what makes the same images again."""

    latent: Latent
    dropout: jax.Array


def sample_input(
    gan: Gan, key: jax.Array, player: str, n: int, i: int, condition: Any
) -> GeneratorInput:
    """What a step's n images are made of, those of the i-th update of one player.

    Args:
      key: the step's.
      player: "discriminator" or "generator".
      condition: of the real examples. The generator has the same, unless its labels are drawn.
    """
    latent = gan.latent.sample(stream(key, f"latent/{player}", i), n)
    if isinstance(gan.condition, Label) and gan.condition.prior == "uniform":
        condition = gan.condition.draw(stream(key, f"condition/{player}", i), n, gan.dtype)
    return GeneratorInput(latent._replace(condition=condition), stream(key, f"dropout/{player}", i))


def information_term(
    gan: Gan, q: Variables, features: jax.Array, codes: tuple[jax.Array, ...]
) -> tuple[jax.Array, Metrics, Any]:
    """The sum over the codes of lambda times the code's mean loss (Chen et al. 2016, eq. 5 and 6,
    with the sign turned and without the constant entropy).

    Returns:
      The term, each code's own mean loss by name, and Q's statistics after the pass.
    """
    assert gan.q is not None
    parameters, stats = apply_network(gan.q, q, features, train=True)
    metrics = {}
    total = jnp.zeros((), gan.dtype)
    for i, (code, read, weight) in enumerate(zip(codes, parameters, gan.code_weights, strict=True)):
        loss = jnp.mean(code_loss(read, code))
        metrics[f"loss/code_{i}"] = loss
        total = total + weight * loss
    return total, metrics | {"loss/information": total}, stats


class GeneratedBatch(NamedTuple):
    """Generated images, [B, H, W, C], and how they came about.

    Attributes:
      images: in the network's range.
      batch_stats: the generator's statistics after the pass.
      pull_back: from a loss's gradient for the images to that for the generator's parameters.
    """

    images: jax.Array
    batch_stats: Any
    pull_back: Callable[[jax.Array], tuple[Any]]


def generate(gan: Gan, generator: NetworkState, draw: GeneratorInput) -> GeneratedBatch:
    """The generator in training. Where both players look at the same images they are made once."""

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
    statistics. With `information` "paper" Q's head learns here too, and the trunk with it.

    Args:
      gan: the rules.
      state: the generator's player is returned as it came.
      real, fake: one of them may be None.
      key: of this update.

    Returns:
      The new state; the losses, means over the batch, in nats for the cross entropies; and the
      shares of real and of fake examples taken for what they are.
    """
    learner = state.q if fake is not None and gan.config.information == "paper" else None
    players = {"discriminator": state.discriminator} | ({} if learner is None else {"q": learner})

    def loss(params: dict[str, Any]) -> tuple[jax.Array, tuple[Metrics, dict[str, Any]]]:
        stats = {"discriminator": state.discriminator.batch_stats}
        metrics: Metrics = {}
        total = jnp.zeros((), gan.dtype)
        for name, examples, target, factor in (
            ("real", real, gan.config.real_target, gan.config.real_factor),
            ("fake", fake, gan.config.fake_target, gan.config.fake_factor),
        ):
            if examples is None:
                continue
            (logits, features), stats["discriminator"] = apply_network(
                gan.discriminator,
                Variables(params["discriminator"], stats["discriminator"]),
                examples.images,
                examples.condition,
                train=True,
                dropout=stream(key, f"dropout/{name}"),
            )
            targets = jnp.full_like(logits, target)
            value = factor * jnp.mean(gan.adversarial.discriminator(logits, targets))
            metrics[f"loss/discriminator_{name}"] = value
            metrics[f"logit/{name}"] = jnp.mean(logits)
            above = logits - gan.adversarial.boundary
            right = above > 0 if name == "real" else above < 0
            metrics[f"accuracy/{name}"] = jnp.mean(right, dtype=gan.dtype)
            total += value
            if learner is not None and name == "fake":
                q = Variables(params["q"], learner.batch_stats)
                term, terms, stats["q"] = information_term(gan, q, features, examples.codes)
                metrics |= terms
                total += term
        return total, (metrics, stats)

    params = {name: player.params for name, player in players.items()}
    gradients, (metrics, stats) = jax.grad(loss, has_aux=True)(params)
    return _apply_gradients(gan, state, players, gradients, stats, metrics)


def generator_update(
    gan: Gan, state: GanState, draw: GeneratorInput, made: GeneratedBatch, key: jax.Array
) -> tuple[GanState, Metrics]:
    """One update of the generator, through a discriminator that is only read.

    With `information` "document" Q's own head learns here too; the trunk does not.

    Args:
      gan: the rules.
      state: the discriminator's whole player is returned as it came.
      draw: what the images are made of.
      made: the images, by the generator as it stands.
      key: of this update.

    Returns:
      The new state and the losses, means over the batch.
    """
    learner = state.q if gan.config.information == "document" else None
    heads = {} if learner is None else {"q": learner}

    def loss(
        images: jax.Array, params: dict[str, Any]
    ) -> tuple[jax.Array, tuple[Metrics, dict[str, Any]]]:
        stats: dict[str, Any] = {"generator": made.batch_stats}
        (logits, features), _ = apply_network(
            gan.discriminator,
            state.discriminator.variables,
            images,
            draw.latent.condition,
            train=True,
            dropout=stream(key, "dropout/fake"),
        )
        targets = jnp.full_like(logits, gan.generator_target)
        total = gan.config.generator_factor * jnp.mean(gan.adversarial.generator(logits, targets))
        metrics = {"loss/generator": total}
        if state.q is not None:
            q = Variables(params.get("q", state.q.params), state.q.batch_stats)
            term, terms, q_stats = information_term(gan, q, features, draw.latent.codes)
            metrics |= terms
            total += term
            if learner is not None:
                stats["q"] = q_stats
        return total, (metrics, stats)

    params = {name: player.params for name, player in heads.items()}
    (of_images, gradients), (metrics, stats) = jax.grad(loss, (0, 1), has_aux=True)(
        made.images, params
    )
    gradients["generator"] = made.pull_back(of_images)[0]
    players = {"generator": state.generator} | heads
    return _apply_gradients(gan, state, players, gradients, stats, metrics)


def _apply_gradients(
    gan: Gan,
    state: GanState,
    players: dict[str, NetworkState],
    gradients: dict[str, Any],
    stats: dict[str, Any],
    metrics: Metrics,
) -> tuple[GanState, Metrics]:
    """Moves `players`, and nobody else, down their gradients; nobody, from the first update on
    whose numbers are not finite."""
    for name in players:
        metrics[f"gradient/{name}"] = _norm(gradients[name])
    finite = jnp.all(jnp.isfinite(jnp.stack(list(metrics.values()))))
    alive = state.alive & finite

    def move(players: dict[str, NetworkState]) -> dict[str, NetworkState]:
        moved = {}
        for name, player in players.items():
            updates, opt_state = gan.optimizers[name].update(
                gradients[name], player.opt_state, player.params
            )
            moved[name] = NetworkState(
                optax.apply_updates(player.params, updates), stats[name], opt_state
            )
        return moved

    # Not a choice between the new and the old numbers: that costs a copy of both, on the CPU five
    # times what Adam itself takes (6.4 million parameters, one core: 32 ms, so 12).
    moved = jax.lax.cond(alive, move, lambda players: players, players)
    return state.replace(alive=alive, **moved), metrics


def _norm(gradients: Any) -> jax.Array:
    """Of all leaves together; as products of vectors, for which XLA has the faster code."""
    leaves = jax.tree.leaves(gradients)
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in leaves))


def train_step(
    gan: Gan,
    state: GanState,
    batch: Batch,
    key: jax.Array,
    shard: Callable[[Any], Any] = lambda batch: batch,
) -> tuple[GanState, Metrics]:
    """k discriminator steps and one generator update.

    An update whose losses or gradients are not finite changes nothing but `alive`, which it turns
    off; from then on every update and every step leaves the state as it is.

    Args:
      gan: the rules.
      state: before the step.
      batch: the real examples.
      key: the run's root key; the step and the attempt are folded into it here.
      shard: lays a batch, axis 0, over the devices that share it.

    Returns:
      The state after the step, and its metrics, scalars by name; "alive" is the state's.
    """
    key = stream(key, "step", state.attempt, state.step)
    metrics = Metrics()
    real = [_real_examples(gan, batch, i, shard) for i in range(gan.config.discriminator_steps)]

    def drawn(player: str, n: int, i: int) -> GeneratorInput:
        draw = sample_input(gan, key, player, n, i, real[i].condition)
        return draw._replace(latent=shard(draw.latent))

    draw, made = None, None
    if gan.config.order == "generator_first":
        draw = drawn("generator", gan.config.batch_size, 0)
        made = generate(gan, state.generator, draw)
        state, metrics = generator_update(gan, state, draw, made, stream(key, "generator"))
    for i in range(gan.config.discriminator_steps):
        if draw is None or gan.config.fresh_noise or i > 0:
            draw = drawn("discriminator", gan.discriminator_batch_size, i)
        # What the generator of a simultaneous game looks through: D before its last step.
        unmoved = state
        made = generate(gan, state.generator, draw)
        fake = Examples(made.images, draw.latent.condition, draw.latent.codes)
        for part in DISCRIMINATOR_BATCHES[gan.config.discriminator_batches]:
            state, terms = discriminator_update(
                gan,
                state,
                real[i] if "real" in part else None,
                fake if "fake" in part else None,
                stream(key, "discriminator", i),
            )
            metrics |= terms
    if gan.config.order != "generator_first":
        if gan.config.fresh_noise:
            draw = drawn("generator", gan.config.batch_size, 0)
            made = generate(gan, state.generator, draw)
        assert draw is not None
        assert made is not None
        through = unmoved if gan.config.order == "simultaneous" else state
        through = through.replace(alive=state.alive)
        moved, terms = generator_update(gan, through, draw, made, stream(key, "generator"))
        state = state.replace(generator=moved.generator, alive=moved.alive)
        if gan.config.information == "document":
            state = state.replace(q=moved.q)
        metrics |= terms
    metrics["loss/discriminator"] = (
        metrics["loss/discriminator_real"] + metrics["loss/discriminator_fake"]
    )
    if gan.config.ema_decay:
        now = state.generator.variables
        average = jax.lax.cond(
            state.alive,
            lambda average: optimizers.moving_average(average, now, gan.config.ema_decay),
            lambda average: average,
            state.ema,
        )
        state = state.replace(ema=average)
    state = state.replace(step=state.step + state.alive)
    return state, metrics | {"alive": state.alive}


DISCRIMINATOR_BATCHES = {
    "together": (("real", "fake"),),
    "real_fake": (("real",), ("fake",)),
    "fake_real": (("fake",), ("real",)),
}


def _real_examples(gan: Gan, batch: Batch, i: int, shard: Callable[[Any], Any]) -> Examples:
    """The real examples of discriminator step i."""
    images = to_network(batch.images[i], gan.low, gan.dtype)
    if gan.condition is None:
        return shard(Examples(images))
    given = batch.features if isinstance(gan.condition, Features) else batch.labels
    given = None if given is None else given[i]
    return shard(Examples(images, gan.condition.of(images, given, gan.dtype)))
