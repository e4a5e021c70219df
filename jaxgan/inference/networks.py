"""Trained networks as functions: sampling, recalibrating BatchNorm, predicting codes.

In training, BatchNorm's moving statistics in the discriminator mix real and generated batches. To
evaluate the discriminator or Q on images, they are re-estimated on a stated set of images.
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
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.models.infogan import CodeParameters
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan


class NetworkFunctions:
    """Compiled functions of a run's networks.

    Args:
      gan: networks and config.
      batch: batch size.
    """

    def __init__(self, gan: Gan, batch: int = 250) -> None:
        self.gan, self.batch = gan, batch
        self._generate, self._statistics, self._predict = (
            jax.jit(gan.in_precision(functools.partial(function, gan)))
            for function in (_generate, _batch_statistics, _predict_codes)
        )

    def sample(
        self, generator: Variables, latent: Latent, key: jax.Array | None = None
    ) -> np.ndarray:
        """Samples with BatchNorm's moving statistics: images in the network's range, [N, H, W, C].

        The key is for dropout, which stays on with `sample_dropout`; None is a constant key.
        """
        return map_batches(self._generates(generator, key), latent, self.batch)

    def sample_images(
        self, generator: Variables, latent: Latent, key: jax.Array | None = None
    ) -> np.ndarray:
        """`sample` as uint8 [N, H, W, C], converted batch by batch: as floats, 10,000 images of
        256x256x3 would take 8 GB."""
        generate = self._generates(generator, key)
        return map_batches(
            lambda batch, i: to_uint8(generate(batch, i), self.gan.low), latent, self.batch
        )

    def _generates(
        self, generator: Variables, key: jax.Array | None
    ) -> Callable[[Latent, int], jax.Array]:
        """A function from the i-th batch of latents to its images."""
        key = jax.random.key(0) if key is None else key
        # Otherwise loaded weights, which are NumPy arrays, would go to the device in every batch.
        generator = jax.device_put(generator)
        return lambda batch, i: self._generate(generator, batch, stream(key, "sample/dropout", i))

    def recalibrate_batch_norm(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[Variables, Variables]:
        """The discriminator and Q with BatchNorm statistics re-estimated on `images`.

        A mean is the mean of the batch means; a variance is the mean of the batch variances plus
        the variance of the batch means. Dropout is off.

        Args:
          discriminator, q: the networks' variables; their moving statistics are not used.
          images: uint8 or in the network's range, [N, H, W, C].
        """
        placed = jax.device_put((discriminator, q))
        batches = [self._statistics(*placed, batch) for batch in self._batches(images)]
        discriminator_stats, q_stats = _average_statistics(batches)
        return Variables(discriminator.params, discriminator_stats), Variables(q.params, q_stats)

    def recalibrate_discriminator(self, discriminator: Variables, images: np.ndarray) -> Variables:
        """The same for an unconditioned discriminator without Q."""
        placed = jax.device_put(discriminator)
        batches = [self._statistics(placed, None, batch) for batch in self._batches(images)]
        return Variables(discriminator.params, _average_statistics(batches)[0])

    def predict_codes(
        self, discriminator: Variables, q: Variables, images: np.ndarray
    ) -> tuple[CodeParameters, ...]:
        """Q(c|x) of each image, as NumPy arrays [N, ...], with the given BatchNorm statistics."""
        placed = jax.device_put((discriminator, q))
        return map_batches(lambda batch, _: self._predict(*placed, batch), images, self.batch)

    def _batches(self, images: np.ndarray) -> list[np.ndarray]:
        """Batches of equal size that cover all images; the last one may overlap the one before."""
        size = min(self.batch, len(images))
        starts = [min(i, len(images) - size) for i in range(0, len(images), size)]
        return [images[i : i + size] for i in starts]


def _generate(gan: Gan, generator: Variables, latent: Latent, dropout: jax.Array) -> jax.Array:
    return apply_network(gan.generator, generator, latent, train=False, dropout=dropout)[0]


def _predict_codes(gan: Gan, discriminator: Variables, q: Variables, images: jax.Array) -> Any:
    assert gan.q is not None
    images = to_network(images, gan.low, gan.dtype)
    (_, features), _ = apply_network(gan.discriminator, discriminator, images, None, train=False)
    return apply_network(gan.q, q, features, train=False)[0]


def _batch_statistics(
    gan: Gan, discriminator: Variables, q: Variables | None, images: jax.Array
) -> tuple[Any, Any]:
    """One batch's BatchNorm statistics in the discriminator and in Q ({} without Q)."""
    (_, features), discriminator_stats = _normalised_by_batch(
        gan.discriminator, discriminator, to_network(images, gan.low, gan.dtype), None
    )
    if gan.q is None or q is None:
        return discriminator_stats, {}
    return discriminator_stats, _normalised_by_batch(gan.q, q, features)[1]


def _normalised_by_batch(network: nn.Module, variables: Variables, *inputs: Any) -> tuple[Any, Any]:
    """A network's output with BatchNorm on batch statistics and dropout off, and the statistics."""
    tree = variables._asdict()
    with nn.intercept_methods(_use_batch_statistics):
        output, changed = network.apply(tree, *inputs, train=False, mutable=["batch_stats"])
    return output, changed.get("batch_stats", {})


def _use_batch_statistics(
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: nn.module.InterceptorContext,
) -> Any:
    """A Linen interceptor that runs every BatchNorm on batch statistics, whatever the network's
    mode, and with momentum 0, so that its moving statistics become those of the batch."""
    module = context.module
    if not isinstance(module, nn.BatchNorm):
        return call(*args, **kwargs)
    changes: dict[str, Any] = {"momentum": 0.0}
    if module.use_running_average is None:
        # Overrides the network's own argument, positional or by keyword.
        args, kwargs = args[:1], kwargs | {"use_running_average": False}
    else:
        changes["use_running_average"] = False
    before = {name: getattr(module, name) for name in changes}
    # Linen modules are frozen, and `call` is bound to this one, so a clone would not do.
    for name, value in changes.items():
        object.__setattr__(module, name, value)
    try:
        return call(*args, **kwargs)
    finally:
        for name, value in before.items():
            object.__setattr__(module, name, value)


def _average_statistics(batches: list[Any]) -> Any:
    """Combines the statistics of several batches of equal size."""
    flat = [flatten_dict({"d": d, "q": q}) for d, q in batches]
    pooled = {}
    for path in flat[0]:
        pooled[path] = jnp.mean(jnp.stack([stats[path] for stats in flat]), axis=0)
        if path[-1] == "var":
            means = jnp.stack([stats[*path[:-1], "mean"] for stats in flat])
            pooled[path] += jnp.var(means, axis=0)
    tree = unflatten_dict(pooled)
    return tree.get("d", {}), tree.get("q", {})
