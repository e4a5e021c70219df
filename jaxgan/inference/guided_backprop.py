"""What a discriminator sees: guided backpropagation (Springenberg et al. 2015, "Striving for
simplicity", section 3.4), as Radford et al. 2016 show it (section 6.1, figure 5).

The gradient of a feature with respect to the image, but for the activations: there it passes only
where both the input and the gradient that comes back are positive. What is left says what in the
image speaks for the feature, and nothing of what speaks against it.
"""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.pixels import to_network
from jaxgan.inference.feature_maps import convolution_maps
from jaxgan.models.variables import Variables
from jaxgan.training.gan import Gan

Activation = Callable[[jax.Array], jax.Array]


def guided(activation: Activation) -> Activation:
    """The same function, its gradient guided: that of the output where it and the input are
    positive, else 0. Of a leaky one, too, nothing comes through where the input is negative."""

    @jax.custom_vjp
    def same(x: jax.Array) -> jax.Array:
        return activation(x)

    def forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return activation(x), x > 0

    def backward(positive: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
        return (jnp.where(positive & (gradient > 0), gradient, 0),)

    same.defvjp(forward, backward)
    return same


def with_guided_activations(gan: Gan) -> Gan:
    """The same rules with the discriminator's activations guided.

    Raises:
      UserError: if the discriminator's activation is not an argument of it, or it is conditional.
    """
    network = gan.discriminator
    if gan.condition is not None or not hasattr(network, "activation"):
        raise UserError(
            "guided backpropagation wants a discriminator that sees the image alone, and whose"
            " activation is its argument",
            "a DCGAN's or an InfoGAN's does: configs/dcgan.py",
        )
    changed: nn.Module = network.clone(activation=guided(network.activation))
    return dataclasses.replace(gan, discriminator=changed)


class GuidedGradients:
    """Guided gradients of the last convolution's most active maps; compiled once.

    Args:
      gan: as `with_guided_activations` wants it.
      maps: so many of each image.

    Raises:
      UserError: if the discriminator has no convolution, or is conditional.
    """

    def __init__(self, gan: Gan, maps: int = 6) -> None:
        self._gan, self._maps = with_guided_activations(gan), maps
        self._active = jax.jit(functools.partial(_active, gan))
        self._gradient = jax.jit(functools.partial(_gradient, self._gan))

    def __call__(
        self, discriminator: Variables, images: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads.

        Args:
          discriminator: its statistics are used as they are.
          images: uint8 [N, H, W, C].

        Returns:
          Which maps are most active, by their maximum over the positions, int [N, maps], the most
          active first; and the guided gradient of each one's maximum, float32 [N, maps, H, W, C].
        """
        x = to_network(images, self._gan.low, self._gan.dtype)
        active = np.asarray(self._active(discriminator, x))
        order = np.argsort(-active, axis=1, kind="stable")[:, : self._maps]
        found = [self._gradient(discriminator, x, places) for places in order.T]
        return order, np.stack([np.asarray(one, np.float32) for one in found], axis=1)


def _active(gan: Gan, discriminator: Variables, images: jax.Array) -> jax.Array:
    """The maximum of each map of the last convolution, [N, maps]."""
    maps = convolution_maps(gan, discriminator, images)
    if not maps:
        raise UserError("the discriminator has no convolution", "configs/dcgan.py")
    return maps[-1].max((1, 2))


def _gradient(
    gan: Gan, discriminator: Variables, images: jax.Array, places: jax.Array
) -> jax.Array:
    """Of one map of each image, [N, H, W, C]; `places` is int [N]."""

    def total(images: jax.Array) -> jax.Array:
        active = _active(gan, discriminator, images)
        return jnp.take_along_axis(active, places[:, None], axis=1).sum()

    return jax.grad(total)(images)


def shown(gradients: np.ndarray) -> np.ndarray:
    """Gradients as pictures, each scaled by its own largest number: grey is 0, light speaks for
    the feature brighter. Float [..., H, W, C] -> uint8 of the same shape."""
    largest = np.abs(gradients).max((-3, -2, -1), keepdims=True)
    return np.rint(127.5 + 127.5 * gradients / np.where(largest > 0, largest, 1)).astype(np.uint8)
