"""Named PRNG streams.

Every random number of a run comes from one root key and a path of names and numbers folded into
it, so that what one part of a step draws never depends on what another part draws, and a resumed
run draws what the uninterrupted one would have drawn.
"""

import zlib

import jax


def stream(key: jax.Array, name: str, *numbers: jax.Array | int) -> jax.Array:
    """The key of the stream `name`, at the place that `numbers` give.

    The name enters by its crc32: Python's own `hash` differs from process to process.

    Args:
      key: a typed PRNG key, shape [].
      name: the stream's name, such as "latent".
      *numbers: integers (Python's, or traced) folded in one after the other, such as the step.

    Returns:
      A typed PRNG key, shape [].
    """
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key
