"""Terms of the losses: the discriminator's on its examples, the information term (Chen et al. 2016,
eq. 6), real examples with conditions that do not fit (Reed et al. 2016), the classes that the
discriminator predicts (Odena et al. 2017), and penalties on its gradient (losses/penalties.py)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.common.rng import stream
from jaxgan.data.augment import random_affine
from jaxgan.losses import penalties
from jaxgan.losses.information import categorical_cross_entropy, code_loss
from jaxgan.models.cpu import on_cpu
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan

Metrics = dict[str, jax.Array]


class Examples(NamedTuple):
    """The discriminator's input: images in the network's range, [B, H, W, C], their condition, and
    the codes that they were generated from (none for real images)."""

    images: jax.Array
    condition: Any = None
    codes: tuple[jax.Array, ...] = ()


def examples_term(
    gan: Gan, name: str, discriminator: Variables, examples: Examples, key: jax.Array
) -> tuple[jax.Array, Metrics, jax.Array, Any]:
    """The discriminator's loss on "real" or "fake" examples, with the terms that a condition adds.

    Returns:
      The term, a scalar; metrics; the discriminator's features [B, F]; and its BatchNorm statistics
      after the pass.
    """
    config, (images, condition, _) = gan.config, examples
    (logits, features), stats = apply_network(
        gan.discriminator,
        discriminator,
        images,
        condition,
        train=True,
        dropout=stream(key, f"dropout/{name}"),
    )
    total, metrics = _adversarial_term(gan, name, logits)
    if config.condition.how == "auxiliary":
        of_class = class_loss(gan, discriminator, features, condition)
        metrics[f"loss/class_{name}"] = of_class
        total += of_class
    if name == "real" and config.mismatched_factor:
        dropout = stream(key, "mismatched")
        mismatched = mismatched_loss(gan, discriminator, images, condition, dropout)
        metrics["loss/discriminator_mismatched"] = mismatched
        total += mismatched
    return total, metrics, features, stats


def _adversarial_term(gan: Gan, name: str, logits: jax.Array) -> tuple[jax.Array, Metrics]:
    """The discriminator's weighted loss on "real" or "fake" logits [B], a scalar, and metrics."""
    config, real = gan.config, name == "real"
    target = config.real_target if real else config.fake_target
    factor = config.real_factor if real else config.fake_factor
    targets = jnp.full_like(logits, target)
    value = factor * jnp.mean(gan.adversarial.discriminator(logits, targets))
    margin = logits - gan.adversarial.boundary
    correct = margin > 0 if real else margin < 0
    return value, {
        f"loss/discriminator_{name}": value,
        f"logit/{name}": jnp.mean(logits),
        f"accuracy/{name}": jnp.mean(correct, dtype=gan.dtype),
    }


def information_term(
    gan: Gan, q: Variables, features: jax.Array, codes: tuple[jax.Array, ...]
) -> tuple[jax.Array, Metrics, Any]:
    """-lambda L_I of Chen et al. 2016, eq. 5 and 6, without the constant entropy of the codes: the
    sum over the codes of lambda times the code's mean loss.

    Returns:
      The term, each code's mean loss by name, and Q's BatchNorm statistics after the pass.
    """
    assert gan.q is not None
    predicted, stats = apply_network(gan.q, q, features, train=True)
    metrics, total = {}, jnp.zeros((), gan.dtype)
    for i, (code, parameters, weight) in enumerate(
        zip(codes, predicted, gan.code_weights, strict=True)
    ):
        loss = jnp.mean(code_loss(parameters, code))
        metrics[f"loss/code_{i}"] = loss
        total = total + weight * loss
    return total, metrics | {"loss/information": total}, stats


def features_for_q(
    gan: Gan, discriminator: Variables, images: jax.Array, features: jax.Array, key: jax.Array
) -> jax.Array:
    """The features from which Q predicts the codes of generated images.

    With one of `q.rotation`, `q.shift` and `q.scale` these are the discriminator's features of the
    images after a small random affine transformation; otherwise `features`, those of the images
    themselves. Q must then predict a code at any small change of position, angle and size, so the
    generator cannot encode it in these. Neither source of InfoGAN does this. Nearest to it are
    IMSAT (Hu et al. 2017, eq. 4), which asks a classifier of real images for the same prediction
    after a transformation, and the consistency regularisation of a discriminator (Zhang et al.
    2020); InfoGAN-CR (Lin et al. 2020) regularises with pairs of generated images.

    Args:
      gan: the networks and their config.
      discriminator: its variables; its moving statistics are not changed by this pass.
      images: generated images, [B, H, W, C].
      features: the discriminator's features of them, [B, F].
      key: PRNG key of the transformations and of dropout.
    """
    q = gan.config.q
    if not (q.rotation or q.shift or q.scale):
        return features
    moved = random_affine(stream(key, "affine"), images, q.rotation, q.shift, q.scale)
    dropout = stream(key, "affine/dropout")
    (_, features), _ = apply_network(
        gan.discriminator, discriminator, moved, None, train=True, dropout=dropout
    )
    return features


def mismatched_loss(
    gan: Gan, discriminator: Variables, images: jax.Array, condition: Any, dropout: jax.Array
) -> jax.Array:
    """The discriminator's mean loss on real examples with the condition of another row as fakes,
    times `mismatched_factor` (Reed et al. 2016, algorithm 1, line 10, with factor 1/2), a scalar.
    Without it, the discriminator never sees a real example that its condition does not fit. Rows
    whose two conditions are equal contribute 0 to the mean over all B rows.

    Args:
      gan: the networks and their config.
      discriminator: its variables; its moving statistics are not changed by this pass.
      images, condition: of the real examples, [B, H, W, C] and [B, ...].
      dropout: PRNG key of the discriminator's dropout.
    """
    config, other = gan.config, jnp.roll(condition, 1, axis=0)
    (logits, _), _ = apply_network(
        gan.discriminator, discriminator, images, other, train=True, dropout=dropout
    )
    losses = gan.adversarial.discriminator(logits, jnp.full_like(logits, config.fake_target))
    differs = jnp.any((other != condition).reshape(len(logits), -1), axis=1)
    return config.mismatched_factor * jnp.mean(jnp.where(differs, losses, 0))


def class_loss(
    gan: Gan, discriminator: Variables, features: jax.Array, condition: jax.Array
) -> jax.Array:
    """-L_C of Odena et al. 2017, eq. 3, for the real or the generated examples, in nats: the mean
    cross entropy of their labels given the discriminator's features. Both networks minimise it.

    Args:
      gan: the networks and their config.
      discriminator: its variables, of an `AuxiliaryClassifier`.
      features: of the examples, [B, F].
      condition: their labels, one-hot [B, K].
    """
    logits: Any = gan.discriminator.apply(discriminator._asdict(), features, method="classify")
    return jnp.mean(categorical_cross_entropy(logits, condition))


def penalty_term(
    gan: Gan,
    discriminator: Variables,
    real: Examples | None,
    fake: Examples | None,
    step: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, Metrics]:
    """The mean penalty of the config's `penalty`, times its weight, a scalar.

    With `penalty.every` = n it is computed in every n-th step only, with n times the weight (lazy
    regularisation: Karras et al. 2020, section 3.1), and is 0 in the others. With `augment` the
    gradient is with respect to the images as the discriminator sees them.

    Args:
      gan: the networks and their config.
      discriminator: its variables; its moving statistics are not changed by these passes.
      real, fake: the update's examples. r1 needs the real ones, r2 the generated ones, and gradient
        both; without them the term is 0 and there are no metrics.
      step: generator updates done, int32 [].
      key: PRNG key of the points between them and of dropout.
    """
    settings, zero = gan.config.penalty, jnp.zeros((), gan.dtype)
    needed = {"none": (), "r1": (real,), "r2": (fake,), "gradient": (real, fake)}[settings.kind]
    given = [examples for examples in needed if examples is not None]
    if not given or len(given) < len(needed):
        return zero, {}
    images, condition, _ = given[0]
    if len(given) > 1:
        images = penalties.between(stream(key, "penalty"), images, given[1].images)
    of_each = penalties.one_centred if settings.kind == "gradient" else penalties.zero_centred

    def critic(images: jax.Array) -> jax.Array:
        dropout = stream(key, "dropout/penalty")
        (logits, _), _ = apply_network(
            gan.discriminator, discriminator, images, condition, train=True, dropout=dropout
        )
        return logits

    def penalty() -> jax.Array:
        return settings.every * settings.weight * jnp.mean(of_each(critic, images))

    # The step after n - 1, 2 n - 1, … updates is number n, 2 n, …, as in the rows of metrics.
    due = (step + 1) % settings.every == 0
    if settings.every == 1:
        term = penalty()
    elif on_cpu():
        # In a conditional, XLA's convolutions are some twenty times as slow on the CPU (jax issue
        # 12868), so there the lazy penalty saves no time.
        term = jnp.where(due, penalty(), zero)
    else:
        term = jax.lax.cond(due, penalty, lambda: zero)
    return term, {"loss/penalty": term}
