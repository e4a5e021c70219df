"""Dropout whose masks are fast on the CPU."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.models.cpu import materialize, on_cpu

# Threefry-2x32's rotation distances and the constant of its key schedule (Salmon et al. 2011,
# "Parallel random numbers: as easy as 1, 2, 3").
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_KEY_PARITY = 0x1BD11BDA


class Dropout(nn.Dropout):
    """`flax.linen.Dropout`, to the bit (Srivastava et al. 2014), with a faster mask on the CPU
    (`keep_mask`)."""

    @nn.compact
    def __call__(
        self, inputs: jax.Array, deterministic: bool | None = None, rng: Any = None
    ) -> jax.Array:
        if self.broadcast_dims or self.rate in (0, 1):
            return jnp.asarray(super().__call__(inputs, deterministic, rng))
        if nn.merge_param("deterministic", self.deterministic, deterministic):
            return inputs
        key = self.make_rng(self.rng_collection) if rng is None else rng
        mask = keep_mask(key, self.rate, inputs.shape)
        return jnp.where(mask, inputs / (1 - self.rate), jnp.zeros_like(inputs))


def keep_mask(key: jax.Array, rate: float, shape: tuple[int, ...]) -> jax.Array:
    """Which units dropout keeps: `jax.random.bernoulli(key, 1 - rate, shape)`, to the bit.

    On the CPU JAX compiles Threefry's rounds as a loop of five passes over the array. Unrolled they
    fuse into one: 2 million units, one core: 19 -> 2 ms.

    Args:
      key: a PRNG key, shape []; the rounds are unrolled for JAX's default, `threefry2x32` in its
        partitionable form.
      rate: the fraction of units that is dropped, in [0, 1).
      shape: of the mask; at most 2^32 units.

    Returns:
      bool, `shape`.
    """
    threefry = jax.random.key_impl(key) == "threefry2x32" and jax.threefry_partitionable.value
    # In 64-bit mode JAX compares float64 numbers, which take twice the bits.
    if not (threefry and on_cpu()) or jnp.result_type(float) == jnp.float64:
        return jax.random.bernoulli(key, 1 - rate, shape)
    # JAX's uniform number is m / 2^23 with m = bits >> 9; it is below p where m < ceil(2^23 p).
    kept = math.ceil(float(np.float32(1 - rate)) * 2**23)
    return materialize(_threefry_bits(key, shape) >> 9 < np.uint32(kept))


def _threefry_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """`jax.random.bits(key, shape)`: 20 rounds of Threefry-2x32 on the counters 0, 1, …, with the
    two words of each result combined by exclusive or.

    Args:
      key: a PRNG key of `threefry2x32`, shape [].
      shape: at most 2^32 numbers.

    Returns:
      uint32, `shape`.
    """
    first, second = jax.random.key_data(key)
    keys = (first, second, first ^ second ^ np.uint32(_KEY_PARITY))
    counters = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    x, y = jnp.full(shape, keys[0]), counters + keys[1]
    for i in range(5):
        for rotation in _ROTATIONS[i % 2]:
            x += y
            y = x ^ (y << rotation | y >> 32 - rotation)
        x += keys[(i + 1) % 3]
        y += keys[(i + 2) % 3] + np.uint32(i + 1)
    return x ^ y
