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

from jaxgan.common import cache
from jaxgan.common.rng import stream
from jaxgan.data.dataset import Split

# Goes up with every change to what is found: it is part of the cache's key.
VERSION = "5"
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
# The length of a standardised image that has one colour, but for rounding.
_FLAT = 1e-3
# Images in memory at once; cells of a table of codes beside codes; and of equal codes so many are
# looked at with each.
_READ, _CELLS, _OF_A_CODE = 2_000, 50_000_000, 8


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
    """An autoencoder's parameters, and the mean of some of its training images, float32 [1, P],
    which it never sees: what digits have in common, their ground, drives all units below the
    threshold."""

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
      say: called with a line before anything slow.
      bits: the codes of two copies differ in at most so many.
      reach: a copy is moved by at most so many pixels.
    """
    if len(images) > MOST_COMPARED:
        bits = 0
    path = os.path.join(cache.cache_folder(), f"near-duplicates-{_key(images, bits, reach)}.npz")
    found = cache.load_npz(path, say)
    if found is None:
        say(f"near-duplicates: {len(images)} images are looked at")
        trained = train_autoencoder(images)
        # Whole crowds of equal images (blank ones) would be pairs by the square of their number.
        first, equal = _distinct(images)
        distinct = Split(images, None).take(first).images
        group = group_of(functools.partial(codes, trained), distinct, bits, reach)
        found = {"group": group[equal]}
        cache.save_npz(path, found, say)
    return Groups(_members(found["group"]), bits)


def without_near_duplicates(split: Split, say: Callable[[str], None] = print) -> Split:
    """The split with one image of each group, its first."""
    return left_out(split, near_duplicates(split.images, say), say)


def left_out(split: Split, groups: Groups, say: Callable[[str], None] = print) -> Split:
    """The same by groups that were found before."""
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
    draw = np.random.default_rng(seed)
    some = np.sort(draw.permutation(len(images))[:_READ])
    mean = jnp.asarray(standardised(images[some]).mean(axis=0, keepdims=True))
    params: Any = network.init(stream(key, "initialise"), mean, train=False)
    opt_state = optimizer.init(params)

    def loss(params: Any, batch: jax.Array, key: jax.Array) -> jax.Array:
        clean = standardised(batch) - mean
        noise = NOISE * jax.random.normal(stream(key, "noise"), clean.shape, jnp.float32)
        dropout = {"dropout": stream(key, "dropout")}
        outputs: Any = network.apply(params, clean + noise, train=True, rngs=dropout)
        return jnp.mean((outputs[1] - clean) ** 2)

    @jax.jit
    def update(params: Any, opt_state: Any, batch: jax.Array, key: jax.Array) -> tuple[Any, Any]:
        change, opt_state = optimizer.update(jax.grad(loss)(params, batch, key), opt_state)
        return optax.apply_updates(params, change), opt_state

    for step in range(updates):
        batch = images[np.sort(draw.integers(len(images), size=BATCH))]
        params, opt_state = update(params, opt_state, batch, stream(key, "step", step))
    return Trained(params, mean)


def standardised(images: jax.Array | np.ndarray) -> Any:
    """uint8 [B, H, W, C] -> float32 [B, H*W*C], each image of mean 0 and deviation 1 (less where it
    is nearly flat); NumPy's where these are, so that sets of any size are not compiled for."""
    library: Any = np if isinstance(images, np.ndarray) else jnp
    x = images.reshape(len(images), -1).astype(library.float32) / library.float32(255)
    x = x - x.mean(axis=1, keepdims=True)
    return x / (x.std(axis=1, keepdims=True) + library.float32(0.05))


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
    block = max(1, _CELLS // len(other))
    for start in range(0, len(one), block):
        rows, columns = np.nonzero(signs[0][start : start + block] @ signs[1].T >= least)
        yield rows + start, columns


def _equal(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each place in one, the first few in the other whose code is the same."""
    n = len(other)
    both = np.packbits(np.concatenate([other, one]), axis=1)
    group = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(group[:n], kind="stable")
    sorted_groups = group[:n][order]
    start = np.searchsorted(sorted_groups, group[n:])
    for i in range(_OF_A_CODE):
        place = np.minimum(start + i, n - 1)
        rows = np.flatnonzero((start + i < n) & (sorted_groups[place] == group[n:]))
        yield rows, order[place[rows]]


def _distinct(images: Any) -> tuple[np.ndarray, np.ndarray]:
    """The first of all equal images, int64 [M], and of each image which of these it is, [N]."""
    digests = [
        hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        for start in range(0, len(images), _READ)
        for image in images[start : start + _READ]
    ]
    _, first, equal = np.unique(digests, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[equal]


def _alike(
    images: Any, one: np.ndarray, other: np.ndarray, move: tuple[int, int], least: float
) -> np.ndarray:
    """The pairs whose pixels correlate by at least `least` after the move, int64 [n]."""
    pairs = np.flatnonzero(one != other)
    if least <= -1:
        return pairs
    kept = [np.zeros(0, np.int64)]
    for start in range(0, len(pairs), _READ):
        some = pairs[start : start + _READ]
        sides = _moved(images[one[some]], *move), images[other[some]]
        x, y = (standardised(side) for side in sides)
        lengths = np.linalg.norm([x, y], axis=2)
        # Two flat images are alike; one beside a picture is not.
        flat = (lengths < _FLAT).all(axis=0)
        product = np.maximum(lengths.prod(axis=0), _FLAT**2)
        kept.append(some[flat | ((x * y).sum(axis=1) >= least * product)])
    return np.concatenate(kept)


def _members(group: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((one for one in groups if len(one) > 1), key=lambda one: int(one[0]))


def _key(images: Any, bits: int, reach: int) -> str:
    """16 hexadecimal digits of all that the groups come from."""
    hasher = hashlib.sha256(f"{VERSION} {bits} {reach} {images.shape}".encode())
    for start in range(0, len(images), _READ):
        hasher.update(np.ascontiguousarray(images[start : start + _READ]).tobytes())
    return hasher.hexdigest()[:16]
