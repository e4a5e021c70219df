"""Leaves near-duplicate images out of training: Radford et al. 2016, section 3.1.1.

The paper's steps, whose purpose is that the generator memorises less:

1. `train_autoencoder` fits a denoising, dropout-regularised ReLU autoencoder to the images. The
   paper's is 3072-128-3072 on 32x32 crops; ours is H*W*C-128-H*W*C on whole images.
2. `codes` thresholds the 128 code units at the ReLU: a binary code per image (semantic hashing).
3. `group_of` finds images with equal codes: they are duplicates.
4. `left_out` keeps one image of each group.

We differ from the paper in four points: images are standardised first (brightness and contrast do
not count); copies may be shifted by a pixel in any direction; codes may differ in `BITS` of their
128 bits; and the pixels of a pair must correlate too. Equal codes alone find a fifth of re-encoded
copies of CIFAR-10's images and none of shifted ones; codes without pixels confuse slanted strokes
of MNIST (experiments/near_duplicates).
"""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.common import cache
from jaxgan.common.rng import stream
from jaxgan.data.dataset import Split

# Part of the cache's key: raise it with every change to what is found.
VERSION = "6"
SEED = 0
CODE = 128
# Largest number of differing bits in the codes of two copies.
BITS = 4
# Largest shift between two copies, in pixels, along either axis.
REACH = 1
# Least correlation between the pixels of two copies.
ALIKE = 0.97
UPDATES, BATCH, RATE, NOISE, DROPOUT = 600, 128, 3e-3, 1.0, 0.5
# The number of pairs is quadratic: for more images, only equal codes are found, by sorting.
MOST_COMPARED = 200_000
# Norm below which a standardised image counts as one flat colour.
_FLAT = 1e-3
# Images in memory at once, entries of a block of code products, and candidates per equal code.
_READ, _CELLS, _OF_A_CODE = 2_000, 50_000_000, 8


class Autoencoder(nn.Module):
    """float [B, P] -> (code units before the ReLU [B, 128], reconstruction [B, P])."""

    code: int = CODE

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        code = nn.Dense(self.code, name="encoder")(x)
        dropped = nn.Dropout(DROPOUT)(nn.relu(code), deterministic=not train)
        return code, nn.Dense(x.shape[-1], name="decoder")(dropped)


class Trained(NamedTuple):
    """An autoencoder's parameters, and the mean image, float32 [1, P], subtracted from its input:
    otherwise what all images share, such as a digit's background, drives every unit below zero."""

    params: Any
    mean: jax.Array


class Groups(NamedTuple):
    """Groups of near-duplicates.

    Attributes:
      members: for each group of at least two, its images' indices, int64 [n], ascending.
      bits: largest number of differing bits in the codes of a pair.
    """

    members: list[np.ndarray]
    bits: int

    @property
    def copies(self) -> np.ndarray:
        """The indices of all images but the first of each group, int64 [n], ascending."""
        return np.sort(np.concatenate([np.zeros(0, np.int64), *(g[1:] for g in self.members)]))


def near_duplicates(
    images: Any, say: Callable[[str], None] = print, bits: int = BITS, reach: int = REACH
) -> Groups:
    """Finds groups of near-duplicates, or reads them from the cache.

    Args:
      images: uint8 [N, H, W, C], an array or `Streamed`.
      say: called with a line before slow work.
      bits: largest number of differing bits in the codes of two copies.
      reach: largest shift between two copies, in pixels.
    """
    if len(images) > MOST_COMPARED:
        bits = 0

    def find() -> dict[str, np.ndarray]:
        say(f"near-duplicates: {len(images)} images are compared")
        # The groups depend on the images alone, not on the types of the run that looks for them.
        with jax.enable_x64(False), jax.default_matmul_precision("highest"):
            trained = train_autoencoder(images)
            # Many equal images (blank ones) would make a quadratic number of pairs.
            first, equal = _distinct(images)
            distinct = Split(images, None).take(first).images
            group = group_of(functools.partial(codes, trained), distinct, bits, reach)
        return {"group": group[equal]}

    found = cache.cached(f"near-duplicates-{_key(images, bits, reach)}", find, say)
    return Groups(_members(found["group"]), bits)


def without_near_duplicates(split: Split, say: Callable[[str], None] = print) -> Split:
    """Finds the groups of a split, and keeps the first image of each."""
    return left_out(split, near_duplicates(split.images, say), say)


def left_out(split: Split, groups: Groups, say: Callable[[str], None] = print) -> Split:
    """Keeps the first image of each group."""
    copies = groups.copies
    first = "; ".join("+".join(map(str, group[:4])) for group in groups.members[:3])
    say(
        f"near-duplicates: {len(copies)} of {len(split)} training images are left out, of"
        f" {len(groups.members)} groups ({groups.bits} of {CODE} bits may differ)"
        + (f"; the first groups, by image index: {first}" if first else "")
    )
    return split.take(np.delete(np.arange(len(split)), copies)) if len(copies) else split


# --- The autoencoder


def train_autoencoder(images: Any, updates: int = UPDATES, seed: int = SEED) -> Trained:
    """Fits the denoising autoencoder to `updates` batches drawn with replacement."""
    network, optimizer = Autoencoder(), optax.adam(RATE)
    key = jax.random.key(seed)
    generator = np.random.default_rng(seed)
    subset = np.sort(generator.permutation(len(images))[:_READ])
    mean = jnp.asarray(standardised(images[subset]).mean(axis=0, keepdims=True))
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
        batch = images[np.sort(generator.integers(len(images), size=BATCH))]
        params, opt_state = update(params, opt_state, batch, stream(key, "step", step))
    return Trained(params, mean)


def standardised(images: jax.Array | np.ndarray) -> Any:
    """uint8 [B, H, W, C] -> float32 [B, H*W*C], each image of mean 0 and deviation 1 (less if it is
    nearly flat). NumPy in, NumPy out: sets of any size need no compilation."""
    library: Any = np if isinstance(images, np.ndarray) else jnp
    x = images.reshape(len(images), -1).astype(library.float32) / library.float32(255)
    x = x - x.mean(axis=1, keepdims=True)
    return x / (x.std(axis=1, keepdims=True) + library.float32(0.05))


@jax.jit
def codes(trained: Trained, images: jax.Array) -> jax.Array:
    """uint8 [B, H, W, C] -> bool [B, 128]: whether each code unit passes its ReLU."""
    outputs: Any = Autoencoder().apply(
        trained.params, standardised(images) - trained.mean, train=False
    )
    return outputs[0] > 0


# --- Groups of codes


def group_of(
    codes_of: Callable[[np.ndarray], Any], images: Any, bits: int, reach: int, alike: float = ALIKE
) -> np.ndarray:
    """Returns each image's group, int [N]: pairs of near-duplicates, and pairs of pairs, share one.

    Args:
      codes_of: uint8 [B, H, W, C] -> bool [B, code].
      images: uint8 [N, H, W, C], an array or `Streamed`.
      bits: largest number of differing bits in the codes of a pair.
      reach: largest shift between a pair, in pixels.
      alike: least correlation between the pixels of a pair; -1 accepts any.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def codes_after(shift: Sequence[int]) -> np.ndarray:
        blocks = (images[i : i + _READ] for i in range(0, n, _READ))
        return np.concatenate([np.asarray(codes_of(_shifted(block, *shift))) for block in blocks])

    n = len(images)
    unshifted = codes_after((0, 0))
    edges = [np.zeros((2, 0), np.int64)]
    for shift in itertools.product(range(-reach, reach + 1), repeat=2):
        shifted = codes_after(shift) if any(shift) else unshifted
        candidates = _near(shifted, unshifted, bits) if bits else _equal(shifted, unshifted)
        for one, other in candidates:
            pairs = _alike(images, one, other, shift, alike)
            edges.append(np.stack([one[pairs], other[pairs]]))
    rows, columns = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1])


def _shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shifts images and repeats the edge behind them."""
    rows = np.clip(np.arange(images.shape[1]) - down, 0, images.shape[1] - 1)
    columns = np.clip(np.arange(images.shape[2]) - right, 0, images.shape[2] - 1)
    return images[:, rows][:, :, columns]


def _near(one: np.ndarray, other: np.ndarray, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of indices whose codes differ in at most `bits`: the product of two n-bit codes
    of +1 and -1 that differ in d bits is n - 2 d."""
    signs = [2 * codes.astype(np.float32) - 1 for codes in (one, other)]
    least = one.shape[1] - 2 * bits
    block = max(1, _CELLS // len(other))
    for start in range(0, len(one), block):
        rows, columns = np.nonzero(signs[0][start : start + block] @ signs[1].T >= least)
        yield rows + start, columns


def _equal(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of indices with equal codes: each of `one` with the first few of `other`."""
    n = len(other)
    both = np.packbits(np.concatenate([other, one]), axis=1)
    group = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(group[:n], kind="stable")
    sorted_groups = group[:n][order]
    start = np.searchsorted(sorted_groups, group[n:])
    for i in range(_OF_A_CODE):
        position = np.minimum(start + i, n - 1)
        rows = np.flatnonzero((start + i < n) & (sorted_groups[position] == group[n:]))
        yield rows, order[position[rows]]


def _distinct(images: Any) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the first of each set of equal images, [M], and each image's set, [N]."""
    sets: dict[bytes, int] = {}
    equal = [
        sets.setdefault(hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest(), len(sets))
        for start in range(0, len(images), _READ)
        for image in images[start : start + _READ]
    ]
    return np.unique(equal, return_index=True)[1], np.asarray(equal)


def _alike(
    images: Any, one: np.ndarray, other: np.ndarray, shift: Sequence[int], least: float
) -> np.ndarray:
    """Selects pairs whose pixels correlate by at least `least` after the shift, int64 [n]."""
    pairs = np.flatnonzero(one != other)
    if least <= -1:
        return pairs
    kept = [np.zeros(0, np.int64)]
    for start in range(0, len(pairs), _READ):
        block = pairs[start : start + _READ]
        x = standardised(_shifted(images[one[block]], *shift))
        y = standardised(images[other[block]])
        norms = np.linalg.norm([x, y], axis=2)
        # Two flat images are alike; a flat one and another are not.
        flat = (norms < _FLAT).all(axis=0)
        product = np.maximum(norms.prod(axis=0), _FLAT**2)
        kept.append(block[flat | ((x * y).sum(axis=1) >= least * product)])
    return np.concatenate(kept)


def _members(group: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((one for one in groups if len(one) > 1), key=lambda one: int(one[0]))


def _key(images: Any, bits: int, reach: int) -> str:
    """SHA-256 (16 hex digits) of everything that determines the groups."""
    hasher = hashlib.sha256(f"{VERSION} {bits} {reach} {images.shape}".encode())
    for start in range(0, len(images), _READ):
        hasher.update(np.ascontiguousarray(images[start : start + _READ]).tobytes())
    return hasher.hexdigest()[:16]
