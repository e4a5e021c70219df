"""Dropout whose masks are fast on the CPU."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.models.convolutions import materialize, on_cpu

# Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2 and section 3.2.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


class Dropout(nn.Dropout):
    """`flax.linen.Dropout` with the same bits (Srivastava et al. 2014), whose mask is a
    `keep_mask`. It takes neither a key nor `broadcast_dims`."""

    @nn.compact
    def __call__(
        self, inputs: jax.Array, deterministic: bool | None = None, rng: Any = None
    ) -> jax.Array:
        deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
        if deterministic or self.rate == 0:
            return inputs
        mask = keep_mask(self.make_rng(self.rng_collection), self.rate, inputs.shape)
        return jnp.where(mask, inputs / (1 - self.rate), jnp.zeros_like(inputs))


def keep_mask(key: jax.Array, rate: float, shape: tuple[int, ...]) -> jax.Array:
    """Which units dropout keeps: `jax.random.bernoulli(key, 1 - rate, shape)`, to the bit.

    On the CPU JAX compiles Threefry's rounds as a loop, which passes over all numbers five times in
    memory. Unrolled they are one pass: 2 million units, one core: 19 -> 2 ms.

    Args:
      key: a key of JAX's default PRNG, `threefry2x32` in its partitionable form.
      rate: the fraction of units that is dropped, in [0, 1).
      shape: of the mask; at most 2^32 units.
    """
    # In 64-bit mode JAX compares float64 numbers, which take twice the bits.
    if not on_cpu() or jnp.result_type(float) == jnp.float64:
        return jax.random.bernoulli(key, 1 - rate, shape)
    bits = _threefry_bits(key, shape)
    # JAX makes a float32 in [0, 1) of the highest 23 bits.
    kept = math.ceil(float(np.float32(1 - rate)) * 2**23)
    return materialize(bits >> 9 < np.uint32(kept))


def _threefry_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """`jax.random.bits(key, shape)`, uint32: 20 rounds of Threefry-2x32 on the counters 0, 1, …,
    with the two words of each result combined by exclusive or."""
    first, second = jax.random.key_data(key)
    keys = (first, second, first ^ second ^ np.uint32(_PARITY))
    counters = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    x, y = jnp.full(shape, keys[0]), counters + keys[1]
    for i in range(5):
        for rotation in _ROTATIONS[i % 2]:
            x += y
            y = x ^ (y << rotation | y >> 32 - rotation)
        x += keys[(i + 1) % 3]
        y += keys[(i + 2) % 3] + np.uint32(i + 1)
    return x ^ y
