"""Named PRNG streams.

Every key of a run is its root key with names and numbers folded in. So the draws of one part of a
step do not depend on those of another, and a resumed run draws what an uninterrupted one would.
"""

import contextlib
import zlib
from collections.abc import Iterator

import jax


def stream(key: jax.Array, name: str, *numbers: jax.Array | int) -> jax.Array:
    """Folds a stream's name and then numbers into a typed PRNG key, shape [].

    Args:
      key: typed PRNG key, shape [].
      name: the stream, such as "latent"; its CRC-32 is folded in, because Python's `hash` differs
        between processes.
      *numbers: integers, static or traced, such as the step; folded in one after the other.
    """
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key


@contextlib.contextmanager
def settings_of_runs(dtype: str) -> Iterator[None]:
    """JAX's settings that decide types and random numbers, as runs of `dtype` are trained with,
    whatever the process has set: 64-bit types would draw other labels, and another generator of
    random numbers other noise."""
    x64 = jax.enable_x64(dtype == "float64")
    with x64, jax.threefry_partitionable(True), jax.default_prng_impl("threefry2x32"):
        yield
