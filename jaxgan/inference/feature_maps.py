"""The outputs of a discriminator's convolutions as features."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.batches import map_batches
from jaxgan.data.pixels import to_network
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan

# Maps are pooled to SIDE x SIDE.
SIDE, _BATCH = 4, 250


def convolution_maps(gan: Gan, discriminator: Variables, images: jax.Array) -> list[jax.Array]:
    """The activations after each convolution of the discriminator, as the next layer gets them.

    Args:
      gan: a GAN with an unconditioned discriminator.
      discriminator: the discriminator's variables; its statistics are used, dropout is off.
      images: uint8 or in the network's range, [B, H, W, C].

    Returns:
      For each convolution in order, [B, H', W', C']. If the next layer's input is not a map (after
      global pooling), the convolution's own output.
    """
    outputs: list[jax.Array] = []
    next_inputs: dict[int, jax.Array] = {}

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        axes = kernel_axes(context.module) if context.method_name == "__call__" else 0
        if axes and outputs and len(outputs) not in next_inputs:
            next_inputs[len(outputs)] = _as_map(args[0], outputs[-1])
        result = call(*args, **kwargs)
        if axes == 4:
            outputs.append(result)
        return result

    x = to_network(images, gan.low, gan.dtype)
    with nn.intercept_methods(record):
        apply_network(gan.discriminator, discriminator, x, None, train=False)
    return [next_inputs.get(i, output) for i, output in enumerate(outputs, 1)]


def kernel_axes(module: nn.Module) -> int:
    """The rank of a layer's kernel: 4 in a convolution, 2 in a dense layer, 0 without a kernel."""
    if not module.has_variable("params", "kernel"):
        return 0
    return jnp.ndim(module.get_variable("params", "kernel"))


def _as_map(x: jax.Array, output: jax.Array) -> jax.Array:
    """A layer's input as a map; `output` is that of the convolution before it."""
    if x.ndim == 4:
        return x
    return x.reshape(output.shape) if x.size == output.size else output


def pooled(maps: jax.Array) -> jax.Array:
    """Adaptive max pooling to 4x4, flattened: [B, H, W, C] -> [B, min(H, 4) * min(W, 4) * C]."""
    for axis in (1, 2):
        size = maps.shape[axis]
        if size > SIDE:
            cuts = [(i * size // SIDE, -(-(i + 1) * size // SIDE)) for i in range(SIDE)]
            parts = [jax.lax.slice_in_dim(maps, *cut, axis=axis).max(axis) for cut in cuts]
            maps = jnp.stack(parts, axis=axis)
    return maps.reshape(len(maps), -1)


class FeatureReader:
    """Computes the features of images in a discriminator; compiled once.

    Args:
      gan: a GAN with an unconditioned discriminator.
    """

    def __init__(self, gan: Gan) -> None:
        self._features = jax.jit(gan.in_precision(functools.partial(_features, gan)))

    def __call__(self, discriminator: Variables, images: np.ndarray) -> np.ndarray:
        """The activations of all convolutions, pooled and concatenated.

        Args:
          discriminator: the discriminator's variables; its statistics are used.
          images: uint8 [N, H, W, C], N > 0.

        Returns:
          float32 [N, F]; F is 0 for a network without convolutions.
        """
        return map_batches(lambda batch, _: self._features(discriminator, batch), images, _BATCH)


def _features(gan: Gan, discriminator: Variables, images: jax.Array) -> jax.Array:
    maps = convolution_maps(gan, discriminator, images)
    empty = jnp.zeros((len(images), 0), jnp.float32)
    return jnp.concatenate([empty, *(pooled(x).astype(jnp.float32) for x in maps)], axis=1)
