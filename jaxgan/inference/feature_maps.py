"""The outputs of a discriminator's convolutions, as features."""

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

# Maps are pooled to SIDE x SIDE; images go through the discriminator in batches.
SIDE, _BATCH = 4, 250


def convolution_maps(gan: Gan, discriminator: Variables, images: jax.Array) -> list[jax.Array]:
    """What follows each convolution of the discriminator, as the next layer sees it.

    Args:
      gan: its discriminator is unconditional.
      discriminator: run with these statistics, dropout off.
      images: uint8 or in the network's range, [B, H, W, C].

    Returns:
      For each convolution in order [B, H', W', C']; [] for a network without any. Where what comes
      next sees no map of the convolution's size or smaller (global pooling), its own output.
    """
    outputs: list[jax.Array] = []
    seen: dict[int, jax.Array] = {}

    def note(call: Any, arguments: Any, named: Any, context: Any) -> Any:
        axes = kernel_axes(context.module) if context.method_name == "__call__" else 0
        if axes and outputs and len(outputs) not in seen:
            seen[len(outputs)] = _as_map(arguments[0], outputs[-1])
        result = call(*arguments, **named)
        if axes == 4:
            outputs.append(result)
        return result

    with nn.intercept_methods(note):
        apply_network(
            gan.discriminator,
            discriminator,
            to_network(images, gan.low, gan.dtype),
            None,
            train=False,
        )
    return [seen.get(i, output) for i, output in enumerate(outputs, 1)]


def kernel_axes(module: nn.Module) -> int:
    """Of the layer's own kernel, whoever's layer it is: 4 of a convolution, 2 of a dense one, and
    0 of what has none."""
    there = module.has_variable("params", "kernel")
    return jnp.ndim(module.get_variable("params", "kernel")) if there else 0


def _as_map(given: jax.Array, output: jax.Array) -> jax.Array:
    """What a layer is given, as a map like the convolution's output before it."""
    if given.ndim == 4:
        return given
    return given.reshape(output.shape) if given.size == output.size else output


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
    """Reads the features of images off discriminators of one kind; compiled once.

    Args:
      gan: its discriminator is unconditional.
    """

    def __init__(self, gan: Gan) -> None:
        self._features = jax.jit(functools.partial(_features, gan))

    def __call__(self, discriminator: Variables, images: np.ndarray) -> np.ndarray:
        """All convolutions' activations, pooled and joined.

        Args:
          discriminator: its statistics are used as they are.
          images: uint8 [N, H, W, C], at least one.

        Returns:
          float32 [N, F]; F is 0 for a network without convolutions.
        """
        features: np.ndarray = map_batches(
            lambda batch, _: self._features(discriminator, batch), images, _BATCH
        )
        return features


def _features(gan: Gan, discriminator: Variables, images: jax.Array) -> jax.Array:
    maps = convolution_maps(gan, discriminator, images)
    empty = jnp.zeros((len(images), 0), jnp.float32)
    return jnp.concatenate([empty, *(pooled(one).astype(jnp.float32) for one in maps)], axis=1)
