"""The networks as instruments, outside training: sampling, and reading codes off images.

BatchNorm makes what the discriminator says of an image depend on its company. Its moving statistics
mix real and generated batches, so images are read with statistics re-estimated on a stated set.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.common.rng import stream
from jaxgan.data.batches import map_batches
from jaxgan.data.pixels import to_network
from jaxgan.models.infogan import CodeParameters
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan


class NetworkFunctions:
    """The compiled functions that look at a run's networks; none of them changes anything.

    Args:
      gan: the rules.
      batch: images that go through a network at once.
    """

    def __init__(self, gan: Gan, batch: int = 250) -> None:
        self.gan, self.batch = gan, batch
        self._generate = jax.jit(functools.partial(_generate, gan))
        self._statistics = jax.jit(functools.partial(_batch_statistics, gan))
        self._read = jax.jit(functools.partial(_read, gan))

    def sample(self, generator: Variables, latent: Latent, key: jax.Array | None = None) -> Any:
        """The generator with its moving statistics: images in its range, float [N, H, W, C].

        The key is of a generator that drops activations in sampling too (`sample_dropout`); None
        is the same one every time.
        """
        key = jax.random.key(0) if key is None else key
        return map_batches(
            lambda batch, i: self._generate(generator, batch, stream(key, "sample/dropout", i)),
            latent,
            self.batch,
        )

    def recalibrate_batch_norm(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[Variables, Variables]:
        """The discriminator and Q with BatchNorm's statistics re-estimated on `images`.

        A mean is the mean of the batches' means, a variance the mean of their variances and the
        variance of their means; nothing is dropped on the way.

        Args:
          discriminator, q: their moving statistics play no part.
          images: uint8 or in the network's range, [N, H, W, C].
        """
        batches = [self._statistics(discriminator, q, part) for part in self._parts(images)]
        of_discriminator, of_q = _average_statistics(batches)
        return Variables(discriminator.params, of_discriminator), Variables(q.params, of_q)

    def recalibrate_discriminator(self, discriminator: Variables, images: np.ndarray) -> Variables:
        """The same of an unconditional discriminator, without a Q."""
        batches = [self._statistics(discriminator, None, part) for part in self._parts(images)]
        return Variables(discriminator.params, _average_statistics(batches)[0])

    def predict_codes(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[CodeParameters, ...]:
        """Q(c | x) of each image, as NumPy arrays [N, ...]; statistics as given."""
        predicted: tuple[CodeParameters, ...] = map_batches(
            lambda batch, _: self._read(discriminator, q, batch), images, self.batch
        )
        return predicted

    def _parts(self, images: np.ndarray) -> list[np.ndarray]:
        """Batches of one size; the last one reaches back over images already counted, so that none
        is left out."""
        size = min(self.batch, len(images))
        starts = [min(i, len(images) - size) for i in range(0, len(images), size)]
        return [images[i : i + size] for i in starts]


def _images(gan: Gan, images: jax.Array) -> jax.Array:
    return to_network(images, gan.low, gan.dtype) if images.dtype == jnp.uint8 else images


def _generate(gan: Gan, generator: Variables, latent: Latent, dropout: jax.Array) -> jax.Array:
    return apply_network(gan.generator, generator, latent, train=False, dropout=dropout)[0]


def _read(gan: Gan, discriminator: Variables, q: Variables, images: jax.Array) -> Any:
    assert gan.q is not None
    (_, features), _ = apply_network(
        gan.discriminator, discriminator, _images(gan, images), None, train=False
    )
    return apply_network(gan.q, q, features, train=False)[0]


def _batch_statistics(
    gan: Gan, discriminator: Variables, q: Variables | None, images: jax.Array
) -> tuple[Any, Any]:
    """Every BatchNorm's statistics of one batch, of the discriminator and of Q ({} without one),
    dropout off: its inputs are those of reading."""
    (_, features), of_discriminator = _normalised_by_batch(
        gan.discriminator, discriminator, _images(gan, images), None
    )
    if gan.q is None or q is None:
        return of_discriminator, {}
    return of_discriminator, _normalised_by_batch(gan.q, q, features)[1]


def _normalised_by_batch(network: nn.Module, variables: Variables, *inputs: Any) -> tuple[Any, Any]:
    """A network's output with nothing dropped and every BatchNorm on the batch's statistics, and
    these."""
    tree = {"params": variables.params, "batch_stats": variables.batch_stats}
    with nn.intercept_methods(_use_batch_statistics):
        output, changed = network.apply(tree, *inputs, train=False, mutable=["batch_stats"])
    return output, changed.get("batch_stats", {})


def _use_batch_statistics(
    call: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    context: nn.module.InterceptorContext,
) -> Any:
    """Runs every BatchNorm, wherever a network has it, on the batch's statistics whatever the
    network's mode is, and with momentum 0: after a pass its own are the batch's."""
    module = context.module
    if not isinstance(module, nn.BatchNorm):
        return call(*arguments, **named)
    # Frozen to its users, as every Linen module is; and call knows no other module than this one.
    changes: dict[str, Any] = {"momentum": 0.0}
    if module.use_running_average is None:
        # Also where the network gives its own, by place or by name.
        arguments, named = arguments[:1], named | {"use_running_average": False}
    else:
        changes["use_running_average"] = False
    before = {name: getattr(module, name) for name in changes}
    for name, value in changes.items():
        object.__setattr__(module, name, value)
    try:
        return call(*arguments, **named)
    finally:
        for name, value in before.items():
            object.__setattr__(module, name, value)


def _average_statistics(batches: list[Any]) -> Any:
    """One set of statistics for several batches of one size."""
    flat = [flatten_dict({"d": d, "q": q}) for d, q in batches]
    pooled = {}
    for path in flat[0]:
        pooled[path] = jnp.mean(jnp.stack([one[path] for one in flat]), axis=0)
        if path[-1] == "var":
            means = jnp.stack([one[*path[:-1], "mean"] for one in flat])
            pooled[path] += jnp.var(means, axis=0)
    tree = unflatten_dict(pooled)
    return tree.get("d", {}), tree.get("q", {})
