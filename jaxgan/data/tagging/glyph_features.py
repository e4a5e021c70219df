"""Features of glyphs: the last hidden layer of a small network that predicts all of their factors.

    5x5 convolution to 16, 3x3 to 32, 3x3 to 64, each stride 2, BatchNorm, ReLU; dense to 256,
    BatchNorm, ReLU (the features); one linear head per factor.

The loss is the sum of the heads' losses: cross entropy for categories, squared error of numbers in
units of the factor's deviation. The network plays the part of the one that gives Mirza and Osindero
(2014) features of photographs: trained on known content, then frozen. It is cached on the machine.
"""

import functools
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.common import cache
from jaxgan.common.rng import stream
from jaxgan.data.batches import indices, map_batches
from jaxgan.data.dataset import Factor, Split
from jaxgan.data.pixels import to_network

# Part of the cache's key: raise it with every change to the network or its training.
VERSION = "1"
SEED = 0
FEATURES = 256
BATCH, PASSES, RATE = 100, 8, 3e-3
# Images per call of the network.
_BLOCK = 500


class FactorNetwork(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> (features [B, 256] >= 0, one head per factor: logits
    [B, values] or a number [B, 1])."""

    factors: tuple[Factor, ...]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        def norm(name: str) -> nn.BatchNorm:
            return nn.BatchNorm(use_running_average=not train, momentum=0.9, name=name)

        for i, (width, size) in enumerate(((16, 5), (32, 3), (64, 3)), start=1):
            x = nn.Conv(width, (size, size), strides=2, use_bias=False, name=f"conv_{i}")(x)
            x = nn.relu(norm(f"conv_{i}_norm")(x))
        x = nn.Dense(FEATURES, use_bias=False, name="features")(x.reshape(len(x), -1))
        x = nn.relu(norm("features_norm")(x))
        return x, tuple(nn.Dense(max(1, f.values), name=f.name)(x) for f in self.factors)


def reader(
    split: Split, factors: Sequence[Factor], say: Callable[[str], None] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from images, uint8 [N, H, W, C], to features, float32 [N, 256].

    Args:
      split: images and factors that the network is trained on, unless it is in the cache.
      factors: the columns of `split.factors`.
      say: called with a line before and after training; None prints to stderr.
    """
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    network = FactorNetwork(tuple(factors))
    assert split.factors is not None
    hasher = hashlib.sha256(f"{VERSION} {BATCH} {PASSES} {RATE} {factors}".encode())
    hasher.update(split.images.tobytes() + split.factors.tobytes())

    def train() -> dict[str, np.ndarray]:
        say(f"training the network for glyph features on {len(split)} images, once")
        began = time.monotonic()
        # A float64 run would draw other numbers, and take twice as long.
        with jax.enable_x64(False):
            arrays = _train(network, split)
        say(f"trained the network for glyph features: {time.monotonic() - began:.0f} s")
        return arrays

    arrays = cache.cached(f"glyph-features-{hasher.hexdigest()[:16]}", train, say)
    return functools.partial(_features, network, unflatten_dict(arrays, sep="/"))


def _train(network: FactorNetwork, split: Split) -> dict[str, np.ndarray]:
    assert split.factors is not None
    targets = [
        column.astype(np.int32) if f.categorical else _standardised(column, f)
        for f, column in zip(network.factors, split.factors.T, strict=True)
    ]
    updates = PASSES * len(split) // BATCH
    optimizer = optax.adam(optax.cosine_onecycle_schedule(updates, RATE, pct_start=0.25))
    variables = jax.jit(functools.partial(network.init, train=False))(
        stream(jax.random.key(SEED), "glyph_features/initialise"),
        jnp.zeros((1, *split.images.shape[1:]), jnp.float32),
    )
    params, stats = variables["params"], variables["batch_stats"]
    opt_state = optimizer.init(params)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params: Any, stats: Any, opt_state: Any, images: Any, targets: Any) -> Any:
        def loss(params: Any) -> Any:
            (_, heads), changed = network.apply(
                {"params": params, "batch_stats": stats},
                to_network(images, -1.0),
                train=True,
                mutable=["batch_stats"],
            )
            losses = map(_loss, network.factors, heads, targets)
            return sum(losses), changed["batch_stats"]

        gradient, stats = jax.grad(loss, has_aux=True)(params)
        change, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), stats, opt_state

    for i in range(updates):
        rows = indices(SEED, i, len(split), (BATCH,), replacement=False)
        batch = [target[rows] for target in targets]
        params, stats, opt_state = update(params, stats, opt_state, split.images[rows], batch)
    arrays = flatten_dict({"params": params, "batch_stats": stats}, sep="/")
    return {name: np.asarray(leaf) for name, leaf in arrays.items()}


def _standardised(values: np.ndarray, factor: Factor) -> np.ndarray:
    """Scales a uniform factor to mean 0 and deviation 1, float32 [N]."""
    mean, deviation = (factor.high + factor.low) / 2, (factor.high - factor.low) / 12**0.5
    return ((values - mean) / deviation).astype(np.float32)


def _loss(factor: Factor, head: jax.Array, target: jax.Array) -> jax.Array:
    if factor.categorical:
        return optax.softmax_cross_entropy_with_integer_labels(head, target).mean()
    return jnp.square(head[:, 0] - target).mean()


def _features(network: FactorNetwork, variables: Any, images: np.ndarray) -> np.ndarray:
    with jax.enable_x64(False), jax.default_matmul_precision("highest"):
        return map_batches(lambda batch, _: _forward(network, variables, batch), images, _BLOCK)


@functools.partial(jax.jit, static_argnums=0)
def _forward(network: FactorNetwork, variables: Any, images: jax.Array) -> Any:
    return network.apply(variables, to_network(images, -1.0), train=False)[0]
