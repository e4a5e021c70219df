"""The networks as instruments, outside training: sampling, and reading codes off images.

BatchNorm makes what the discriminator says of an image depend on its company. Its moving statistics
mix real and generated batches, so images are read with statistics re-estimated on a stated set.
"""

import functools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.data.dataset import to_network
from jaxgan.latents import Latent
from jaxgan.models.infogan import CodeParameters
from jaxgan.state import Gan, Variables, run


class Instruments:
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

    def sample(self, generator: Variables, latent: Latent) -> np.ndarray:
        """The generator with its moving statistics: images in its range, [N, H, W, C]."""
        parts = [np.asarray(self._generate(generator, part)) for part in self._batches(latent)]
        return np.concatenate(parts)[: len(latent.noise)]

    def statistics(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[Variables, Variables]:
        """The discriminator and Q with BatchNorm's statistics re-estimated on `images`.

        Each statistic is the mean over whole batches in training mode; a variance counts the
        spread of the batches' means as well. Images after the last whole batch are left out (with
        fewer than a batch, all images are one).

        Args:
          discriminator, q: their moving statistics play no part.
          images: uint8 or in the network's range, [N, H, W, C].
        """
        size = min(self.batch, len(images))
        batches = [images[i : i + size] for i in range(0, len(images) - size + 1, size)]
        moments = [self._statistics(discriminator, q, part) for part in batches]
        mean = jax.tree.map(lambda *x: jnp.mean(jnp.stack(x), axis=0), *moments)
        of_discriminator, of_q = map(_from_moments, mean)
        return Variables(discriminator.params, of_discriminator), Variables(q.params, of_q)

    def read(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[CodeParameters, ...]:
        """Q(c | x) of each image, as NumPy arrays [N, ...]; statistics as given."""
        parts = [self._read(discriminator, q, part) for part in self._batches(images)]
        n = len(images)
        return jax.tree.map(lambda *x: np.concatenate([np.asarray(y) for y in x])[:n], *parts)

    def _batches(self, tree: Any) -> Iterator[Any]:
        """Whole batches, the last one filled up with its first examples: one shape, one trace."""
        n = len(jax.tree.leaves(tree)[0])
        for start in range(0, n, self.batch):
            # Wrapped around, not zeros: with zeros a network could overflow where nobody looks.
            places = np.arange(start, start + self.batch) % n
            yield jax.tree.map(lambda x, places=places: np.asarray(x)[places], tree)


def _images(gan: Gan, images: jax.Array) -> jax.Array:
    return to_network(images, gan.low, gan.dtype) if images.dtype == jnp.uint8 else images


def _generate(gan: Gan, generator: Variables, latent: Latent) -> jax.Array:
    return run(gan.generator, generator, latent, train=False)[0]


def _read(gan: Gan, discriminator: Variables, q: Variables, images: jax.Array) -> Any:
    assert gan.q is not None
    (_, features), _ = run(
        gan.discriminator, discriminator, _images(gan, images), None, train=False
    )
    return run(gan.q, q, features, train=False)[0]


def _batch_statistics(
    gan: Gan, discriminator: Variables, q: Variables, images: jax.Array
) -> tuple[Any, Any]:
    """First and second moments of every BatchNorm's input, in the places of mean and variance."""
    assert gan.q is not None
    (_, features), d_stats = run(
        _forgetful(gan.discriminator), discriminator, _images(gan, images), None, train=True
    )
    _, q_stats = run(_forgetful(gan.q), q, features, train=True)
    return _to_moments(d_stats), _to_moments(q_stats)


def _forgetful(module: nn.Module) -> nn.Module:
    """The network with BatchNorm's momentum 0: its statistics after a pass are the batch's."""
    return module.clone(momentum=0.0)


def _to_moments(stats: Any) -> Any:
    flat = flatten_dict(stats)
    return unflatten_dict(
        {
            path: value + jnp.square(flat[*path[:-1], "mean"]) if path[-1] == "var" else value
            for path, value in flat.items()
        }
    )


def _from_moments(moments: Any) -> Any:
    flat = flatten_dict(moments)
    return unflatten_dict(
        {
            path: value - jnp.square(flat[*path[:-1], "mean"]) if path[-1] == "var" else value
            for path, value in flat.items()
        }
    )
