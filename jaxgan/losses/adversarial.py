"""The losses of the suite: one value per example, on logits, nothing reduced.

The adversarial losses are written on the discriminator's logit l, with D(x) = sigmoid(l), so that
none of them takes the logarithm of a rounded probability. Targets are per example and lie in
[0, 1]: 1 says real, 0 says fake, and anything between is label smoothing. Arguments of unequal
shapes raise `ValueError`: a [B, 1] against a [B] would broadcast to [B, B] without a word.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


def _require_equal_shapes(*arrays: jax.Array) -> None:
    shapes = [jnp.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"a loss wants equal shapes, got {shapes}")


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-t log D - (1 - t) log(1 - D), in nats.

    With t = 1 on real and t = 0 on generated examples this is the discriminator's loss of
    Goodfellow et al. 2014, eq. 1; with t = 1 on generated examples it is the non-saturating
    generator's loss of their section 3.

    Args:
      logits: any shape, the discriminator's output before the sigmoid.
      targets: the same shape, in [0, 1].

    Returns:
      The same shape.
    """
    _require_equal_shapes(logits, targets)
    return -targets * jax.nn.log_sigmoid(logits) - (1 - targets) * jax.nn.log_sigmoid(-logits)


def minimax(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The generator's side of Goodfellow et al. 2014, eq. 1: log(1 - D), in nats, to be minimised.

    It is the discriminator's loss on generated examples with the sign turned, hence `targets` are
    the discriminator's targets for generated examples (0 without smoothing). Shapes as in
    `sigmoid_cross_entropy`.
    """
    return -sigmoid_cross_entropy(logits, targets)


def least_squares(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """(l - t)^2 / 2 (Mao et al. 2017, eq. 9 with a = 0, b = c = 1). Shapes as above."""
    _require_equal_shapes(logits, targets)
    return jnp.square(logits - targets) / 2


def hinge(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The discriminator's hinge loss max(0, 1 - s l), s = 2 t - 1 (Lim and Ye 2017, eq. 3)."""
    _require_equal_shapes(logits, targets)
    return jax.nn.relu(1 - (2 * targets - 1) * logits)


def hinge_generator(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The generator's side of the hinge loss: -s l, s = 2 t - 1 (Lim and Ye 2017, eq. 3)."""
    _require_equal_shapes(logits, targets)
    return -(2 * targets - 1) * logits


class Adversarial(NamedTuple):
    """The two sides of an adversarial loss, each (logits, targets) -> value per example.

    Attributes:
      discriminator: on real examples with the real target, on generated ones with the fake one.
      generator: on generated examples.
      generator_aims_at_real: whether the generator's target is the real one (its own side of the
        game) or the fake one (minimax: the discriminator's term with the sign turned).
      boundary: the logit above which the discriminator takes an example for real.
      unit: of the values, "nats" or "".
    """

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array, jax.Array], jax.Array]
    generator_aims_at_real: bool
    boundary: float = 0.0
    unit: str = ""


ADVERSARIAL = {
    "non_saturating": Adversarial(sigmoid_cross_entropy, sigmoid_cross_entropy, True, unit="nats"),
    "minimax": Adversarial(sigmoid_cross_entropy, minimax, False, unit="nats"),
    "least_squares": Adversarial(least_squares, least_squares, True, boundary=0.5),
    "hinge": Adversarial(hinge, hinge_generator, True),
}
