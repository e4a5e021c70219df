"""Guided backpropagation through a discriminator (Springenberg et al. 2015, "Striving for
simplicity", section 3.4), as in Radford et al. 2016, section 6.2 and figure 5.

It is the gradient of a feature with respect to the image, except that an activation passes the
gradient on only where both its input and the incoming gradient are positive. The result shows what
in the image increases the feature, without what decreases it.
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
    """The same function with a guided gradient: the incoming gradient where it and the input are
    positive, else 0. This holds for a leaky activation too."""

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
    """The same GAN with guided activations in the discriminator; UserError if that is conditioned,
    or has no attribute `activation`."""
    network = gan.discriminator
    if gan.condition is not None or not hasattr(network, "activation"):
        what = "a discriminator that sees the image alone, and whose activation is its argument"
        remedy = "such as those of a DCGAN or an InfoGAN: configs/dcgan.py"
        raise UserError(f"guided backpropagation needs {what}", remedy)
    changed: nn.Module = network.clone(activation=guided(network.activation))
    return dataclasses.replace(gan, discriminator=changed)


class GuidedGradients:
    """Guided gradients of the last convolution's most active maps; compiled once.

    Args:
      gan: a GAN that `with_guided_activations` accepts; its discriminator has a convolution.
      maps: number of maps for each image.
    """

    def __init__(self, gan: Gan, maps: int = 6) -> None:
        self._gan, self._maps = with_guided_activations(gan), maps
        self._active = jax.jit(gan.in_precision(functools.partial(_active, gan)))
        self._gradient = jax.jit(gan.in_precision(functools.partial(_gradient, self._gan)))

    def __call__(
        self, discriminator: Variables, images: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Computes the gradients; raises UserError if the discriminator has no convolution.

        Args:
          discriminator: the discriminator's variables; its statistics are used.
          images: uint8 [N, H, W, C].

        Returns:
          The indices of the maps with the largest maximum over positions, int [N, maps], largest
          first, and the guided gradient of each maximum, float32 [N, maps, H, W, C].
        """
        x = to_network(images, self._gan.low, self._gan.dtype)
        active = np.asarray(self._active(discriminator, x))
        order = np.argsort(-active, axis=1, kind="stable")[:, : self._maps]
        gradients = [self._gradient(discriminator, x, indices) for indices in order.T]
        return order, np.stack([np.asarray(g, np.float32) for g in gradients], axis=1)


def _active(gan: Gan, discriminator: Variables, images: jax.Array) -> jax.Array:
    """The maximum of each map of the last convolution, [N, maps]."""
    maps = convolution_maps(gan, discriminator, images)
    if not maps:
        raise UserError("the discriminator has no convolution", "configs/dcgan.py")
    return maps[-1].max((1, 2))


def _gradient(
    gan: Gan, discriminator: Variables, images: jax.Array, indices: jax.Array
) -> jax.Array:
    """The gradient of one map's maximum for each image, [N, H, W, C]; `indices` is int [N]."""

    def total(images: jax.Array) -> jax.Array:
        active = _active(gan, discriminator, images)
        return jnp.take_along_axis(active, indices[:, None], axis=1).sum()

    return jax.grad(total)(images)


def shown(gradients: np.ndarray) -> np.ndarray:
    """Gradients as pictures, each scaled by its largest magnitude: grey is 0, white is positive.
    Float [..., H, W, C] -> uint8 of the same shape."""
    largest = np.abs(gradients).max((-3, -2, -1), keepdims=True)
    return np.rint(127.5 + 127.5 * gradients / np.where(largest > 0, largest, 1)).astype(np.uint8)
