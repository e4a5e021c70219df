"""Adversarial losses on the discriminator's logits, one value per example. In the papers' notation,
with logits l and D = sigmoid(l) on a real example x, and l' and D' on a generated one G(z):

    name            discriminator minimises          generator       source
    non_saturating  -log D - log(1 - D')             -log D'         Goodfellow et al. 2014, sec. 3
    minimax         -log D - log(1 - D')             log(1 - D')     Goodfellow et al. 2014, eq. 1
    least_squares   (l - 1)^2 / 2 + l'^2 / 2         (l' - 1)^2 / 2  Mao et al. 2017, eq. 9
    hinge           max(0, 1 - l) + max(0, 1 + l')   -l'             Lim and Ye 2017; Miyato
                                                           et al. 2018, eq. 16, 17
    wasserstein     -l + l'                          -l'             Arjovsky et al. 2017, eq. 2

Logits avoid the logarithm of a rounded probability. Targets are per example and in [0, 1]: 1 is
real, 0 is fake, values between are label smoothing. Unequal shapes raise `ValueError`, because a
[B, 1] and a [B] would broadcast to [B, B].
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


def require_equal_shapes(*arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays have the same shape: nothing is broadcast."""
    shapes = [jnp.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"a loss needs equal shapes, got {shapes}")


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-t log D - (1 - t) log(1 - D), in nats (Goodfellow et al. 2014).

    Targets 1 on real and 0 on generated examples give the discriminator's loss (eq. 1); target 1 on
    generated examples gives the non-saturating generator's loss (section 3).

    Args:
      logits: the discriminator's output before the sigmoid, any shape.
      targets: same shape, in [0, 1].

    Returns:
      The same shape.
    """
    require_equal_shapes(logits, targets)
    return -targets * jax.nn.log_sigmoid(logits) - (1 - targets) * jax.nn.log_sigmoid(-logits)


def minimax(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """log(1 - D) at target 0, in nats: the generator's loss in Goodfellow et al. 2014, eq. 1.

    The negative of the discriminator's loss on generated examples, so `targets` are the
    discriminator's targets for them. Shapes as in `sigmoid_cross_entropy`.
    """
    return -sigmoid_cross_entropy(logits, targets)


def least_squares(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """(l - t)^2 / 2 (Mao et al. 2017, eq. 9 with a = 0, b = c = 1). Shapes as above."""
    require_equal_shapes(logits, targets)
    return jnp.square(logits - targets) / 2


def hinge(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """max(0, 1 - s l), s = 2 t - 1: the discriminator's hinge loss (Lim and Ye 2017; Miyato et al.
    2018, eq. 16)."""
    require_equal_shapes(logits, targets)
    return jax.nn.relu(1 - (2 * targets - 1) * logits)


def wasserstein(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-s l, s = 2 t - 1: both losses of the Wasserstein GAN, whose critic must be Lipschitz
    (Arjovsky et al. 2017, eq. 2), and the generator's hinge loss (Miyato et al. 2018,
    eq. 17)."""
    require_equal_shapes(logits, targets)
    return -(2 * targets - 1) * logits


class Adversarial(NamedTuple):
    """The two losses of an adversarial game, each (logits, targets) -> one value per example.

    Attributes:
      discriminator: applied to real examples with the real target and to generated examples with
        the fake target.
      generator: applied to generated examples.
      generator_aims_at_real: whether the generator's target is the real one; False for minimax,
        which negates the discriminator's loss.
      boundary: logit above which the discriminator classifies an example as real.
      unit: unit of the values, "nats" or "".
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
    "hinge": Adversarial(hinge, wasserstein, True),
    "wasserstein": Adversarial(wasserstein, wasserstein, True),
}
