"""Images that are nearly the same, found by the binary codes of an autoencoder, and left out.

Source: Radford et al. 2016, section 3.1.1 (against memorising): a 3072-128-3072 denoising,
dropout-regularised ReLU autoencoder of 32x32 crops; its 128 activations, cut at the ReLU's
threshold, are a code (semantic hashing), and images of equal codes are duplicates. Here the images
are of any size, H*W*C-128-H*W*C.

Where ours differs: an image is standardised first, so that brightness and contrast do not count; a
copy may be moved by a pixel in any direction; codes may differ in `BITS` of their 128 bits; and
what the codes bring together counts only where the pixels are alike too. Equality alone finds a
fifth of re-encoded copies of CIFAR-10's images and none of moved ones; codes alone take one slanted
stroke of MNIST for another (experiments/near_duplicates).
"""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import cache
from jaxgan.data.dataset import Split
from jaxgan.rng import stream

# Goes up with every change to what is found: it is part of the cache's key.
VERSION = "3"
SEED = 0
CODE = 128
# Of the code's bits so many may differ.
BITS = 4
# A copy may be moved by so many pixels, down or up and to either side.
REACH = 1
# The least correlation of the pixels of two copies.
ALIKE = 0.97
UPDATES, BATCH, RATE, NOISE, DROPOUT = 600, 128, 3e-3, 1.0, 0.5
# Pairs grow with the square; beyond so many images only equal codes are looked for, by sorting.
MOST_COMPARED = 200_000
# Images in memory at once: as numbers, and beside all others.
_READ, _COMPARED = 2_000, 500


class Autoencoder(nn.Module):
    """float [B, P] -> (code's activations before the ReLU [B, 128], the same images again [B, P]).

    The key of its dropout is "dropout".
    """

    code: int = CODE

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        code = nn.Dense(self.code, name="encoder")(x)
        kept = nn.Dropout(DROPOUT)(nn.relu(code), deterministic=not train)
        return code, nn.Dense(x.shape[-1], name="decoder")(kept)


class Trained(NamedTuple):
    """An autoencoder's parameters, and the mean of its training images, float32 [1, P], which it
    never sees: what digits have in common, their ground, drives all units below the threshold."""

    params: Any
    mean: jax.Array


class Groups(NamedTuple):
    """Images that are nearly the same.

    Attributes:
      members: of each group of two and more, the images' places, ascending, int64 [n].
      bits: in which the codes of two images of a group may differ.
    """

    members: list[np.ndarray]
    bits: int

    @property
    def copies(self) -> np.ndarray:
        """All but the first of each group, ascending, int64 [n]."""
        rest = [group[1:] for group in self.members]
        return np.sort(np.concatenate(rest)) if rest else np.zeros(0, np.int64)


def near_duplicates(
    images: Any, say: Callable[[str], None] = print, bits: int = BITS, reach: int = REACH
) -> Groups:
    """Groups of images that are nearly the same; from the cache where they were looked for before.

    Args:
      images: uint8 [N, H, W, C], streamed or not.
      say: told what takes long.
      bits: the codes of two copies differ in at most so many.
      reach: a copy is moved by at most so many pixels.
    """
    if len(images) > MOST_COMPARED:
        bits = 0
    path = os.path.join(cache.cache_folder(), f"near-duplicates-{_key(images, bits, reach)}.npz")
    found = cache.kept(path, say)
    if found is None:
        say(f"near-duplicates: {len(images)} images are looked at")
        trained = train_autoencoder(images)
        found = {"group": group_of(functools.partial(codes, trained), images, bits, reach)}
        cache.keep(path, found, say)
    return Groups(_members(found["group"]), bits)


def without_near_duplicates(split: Split, say: Callable[[str], None] = print) -> Split:
    """The split with one image of each group, its first."""
    groups = near_duplicates(split.images, say)
    copies = groups.copies
    first = "; ".join("+".join(map(str, group[:4])) for group in groups.members[:3])
    say(
        f"near-duplicates: {len(copies)} of {len(split)} training images are left out, of"
        f" {len(groups.members)} groups ({groups.bits} of {CODE} bits may differ)"
        + (f"; the first groups, by the images' places: {first}" if first else "")
    )
    return split.take(np.delete(np.arange(len(split)), copies)) if len(copies) else split


# --- The autoencoder


def train_autoencoder(images: Any, updates: int = UPDATES, seed: int = SEED) -> Trained:
    """One that saw `updates` batches, drawn with replacement, of noisy images."""
    network, optimizer = Autoencoder(), optax.adam(RATE)
    key = jax.random.key(seed)
    mean = standardised(images[:_READ]).mean(axis=0, keepdims=True)
    params: Any = network.init(stream(key, "initialise"), mean, train=False)
    opt_state = optimizer.init(params)

    def loss(params: Any, batch: jax.Array, key: jax.Array) -> jax.Array:
        clean = standardised(batch) - mean
        noise = NOISE * jax.random.normal(stream(key, "noise"), clean.shape)
        dropout = {"dropout": stream(key, "dropout")}
        outputs: Any = network.apply(params, clean + noise, train=True, rngs=dropout)
        return jnp.mean((outputs[1] - clean) ** 2)

    @jax.jit
    def update(params: Any, opt_state: Any, batch: jax.Array, key: jax.Array) -> tuple[Any, Any]:
        change, opt_state = optimizer.update(jax.grad(loss)(params, batch, key), opt_state)
        return optax.apply_updates(params, change), opt_state

    draw = np.random.default_rng(seed)
    for step in range(updates):
        batch = images[np.sort(draw.integers(len(images), size=BATCH))]
        params, opt_state = update(params, opt_state, batch, stream(key, "step", step))
    return Trained(params, mean)


def standardised(images: jax.Array | np.ndarray) -> jax.Array:
    """uint8 [B, H, W, C] -> float32 [B, H*W*C], each image of mean 0 and deviation 1 (less where it
    is nearly flat)."""
    x = jnp.asarray(images).reshape(len(images), -1).astype(jnp.float32) / 255
    x -= x.mean(axis=1, keepdims=True)
    return x / (x.std(axis=1, keepdims=True) + 0.05)


@jax.jit
def codes(trained: Trained, images: jax.Array) -> jax.Array:
    """uint8 [B, H, W, C] -> bool [B, 128]: which units of the code a ReLU lets through."""
    outputs: Any = Autoencoder().apply(
        trained.params, standardised(images) - trained.mean, train=False
    )
    return outputs[0] > 0


# --- Groups of codes


def group_of(
    codes_of: Callable[[np.ndarray], Any],
    images: Any,
    bits: int,
    reach: int,
    alike: float = ALIKE,
) -> np.ndarray:
    """The number of each image's group, int [N]: pairs, and pairs of pairs, share one.

    Args:
      codes_of: uint8 [B, H, W, C] -> bool [B, code].
      bits: the codes of a pair differ in at most so many,
      reach: where one of the two is moved by at most so many pixels,
      alike: and their pixels correlate by at least this; -1 is any.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    own = _codes(codes_of, images, 0, 0)
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            moved = own if down == right == 0 else _codes(codes_of, images, down, right)
            for one, other in _equal(moved, own) if bits == 0 else _near(moved, own, bits):
                pairs = _alike(images, one, other, (down, right), alike)
                first.append(one[pairs])
                second.append(other[pairs])
    places = np.concatenate(first), np.concatenate(second)
    n = len(images)
    joined = coo_array((np.ones(len(places[0]), np.int8), places), shape=(n, n))
    return np.asarray(connected_components(joined, directed=False)[1])


def _codes(codes_of: Callable[[np.ndarray], Any], images: Any, down: int, right: int) -> np.ndarray:
    """Of every image, moved."""
    starts = range(0, len(images), _READ)
    return np.concatenate(
        [np.asarray(codes_of(_moved(images[i : i + _READ], down, right))) for i in starts]
    )


def _moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Each image moved, the edge's pixels drawn out behind it."""
    rows = np.clip(np.arange(images.shape[1]) - down, 0, images.shape[1] - 1)
    columns = np.clip(np.arange(images.shape[2]) - right, 0, images.shape[2] - 1)
    return images[:, rows][:, :, columns]


def _near(one: np.ndarray, other: np.ndarray, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in both whose codes differ in at most `bits`: n - 2 d is the product of two codes of
    +1 and -1 that differ in d of n."""
    signs = [2 * codes.astype(np.float32) - 1 for codes in (one, other)]
    least = one.shape[1] - 2 * bits
    for start in range(0, len(one), _COMPARED):
        rows, columns = np.nonzero(signs[0][start : start + _COMPARED] @ signs[1].T >= least)
        yield rows + start, columns


def _equal(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each place in one, the first in the other whose code is the same, where there is any."""
    n = len(other)
    both = np.packbits(np.concatenate([other, one]), axis=1)
    _, first, group = np.unique(both, axis=0, return_index=True, return_inverse=True)
    found = first[group.ravel()[n:]]
    rows = np.flatnonzero(found < n)
    yield rows, found[rows]


def _alike(
    images: Any, one: np.ndarray, other: np.ndarray, move: tuple[int, int], least: float
) -> np.ndarray:
    """The pairs whose pixels correlate by at least `least` after the move, int64 [n]."""
    pairs = np.flatnonzero(one != other)
    if least <= -1:
        return pairs
    kept = [np.zeros(0, np.int64)]
    for start in range(0, len(pairs), _COMPARED):
        some = pairs[start : start + _COMPARED]
        sides = _moved(images[one[some]], *move), images[other[some]]
        x, y = (np.asarray(standardised(side)) for side in sides)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        # Two flat images are alike; one beside a picture is not.
        flat = (lengths == 0) & (np.abs(x).sum(axis=1) == np.abs(y).sum(axis=1))
        kept.append(some[flat | ((x * y).sum(axis=1) >= least * np.maximum(lengths, 1e-12))])
    return np.concatenate(kept)


def _members(group: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((one for one in groups if len(one) > 1), key=lambda one: int(one[0]))


def _key(images: Any, bits: int, reach: int) -> str:
    """16 hexadecimal digits of all that the groups come from."""
    told = hashlib.sha256(f"{VERSION} {bits} {reach} {images.shape}".encode())
    for start in range(0, len(images), _READ):
        told.update(np.ascontiguousarray(images[start : start + _READ]).tobytes())
    return told.hexdigest()[:16]
