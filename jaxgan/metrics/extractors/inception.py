"""Inception-v3, the extractor of the published FID and KID, with weights from the user's file.

Source: Szegedy et al. 2016 (the network); Heusel et al. 2017 (its last pooling as features). The
standard weights are TensorFlow's of 2015 as a PyTorch state dictionary (pytorch-fid's
`pt_inception-2015-12-05-6726825d.pth`), which the user downloads; nothing is fetched here. Layers
have that dictionary's names: `Mixed_5b.branch1x1.conv.weight` and so on.

Protocol: images in [0, 255] are scaled to [-1, 1], grey ones repeated on three channels, and then
resized to 299x299 bilinearly (half-pixel centres, no antialiasing). Average pools exclude padding;
the last block pools by maximum, as in that network, unlike torchvision's. BatchNorm uses its stored
statistics. Features: the mean over the last 8x8 map, 2,048 numbers, at least 0. The original FID
resizes as TensorFlow 1 does (whole-pixel corners), so values differ a little from both.

Verified with random weights: three blocks against NumPy (a test), and the whole network against
PyTorch's (once; features up to 60 agree to 1e-4). Not verified, for lack of the file: the real
weights, and so any published value. torchvision's own weights have the same names and load too, but
are another extractor, with another hash, and give no FID. 10,000 images take some 10^14 operations,
a task for an accelerator (one CPU core processes about 2 images a second).
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.common.errors import UserError
from jaxgan.common.reading import as_numbers, open_file, parsing, read_arrays, reading
from jaxgan.data.batches import map_batches

FEATURES = 2048
SIZE = 299
# Images per forward pass.
_BATCH = 50

# A branch is a chain of steps: a convolution (channels, kernel height and width, stride unless 1)
# or a pool by name; the last may be a fork into two convolutions of the same input.
Step = Any
Block = dict[str, list[Step]]


class BasicConv2d(nn.Module):
    """Convolution, BatchNorm with its stored statistics, ReLU."""

    width: int
    kernel: tuple[int, int]
    strides: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = nn.Conv(
            self.width, self.kernel, self.strides, self.padding, use_bias=False, name="conv"
        )
        return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(conv(x)))


class Mixed(nn.Module):
    """Parallel branches, concatenated on channels."""

    branches: Block

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return _join([self._branch(name, steps, x) for name, steps in self.branches.items()])

    def _branch(self, name: str, steps: list[Step], x: jax.Array) -> jax.Array:
        # In the weights' names, the convolutions of a chain are numbered; a single one is not.
        single = sum(not isinstance(step, str) for step in steps) == 1
        number = 0
        for step in steps:
            if isinstance(step, str):
                x = POOLS[step](x)
                continue
            number += 1
            stem = name if single else f"{name}_{number}"
            if isinstance(step[0], int):
                x = _conv(x, stem, *step)
            else:
                forks = zip("ab", step, strict=True)
                x = _join([_conv(x, stem + letter, *fork) for letter, fork in forks])
        return x


def _conv(x: jax.Array, name: str, width: int, kh: int, kw: int, strides: int = 1) -> jax.Array:
    padding = "SAME" if strides == 1 else "VALID"
    return BasicConv2d(width, (kh, kw), strides, padding, name=name)(x)


def _join(parts: list[jax.Array]) -> jax.Array:
    return jnp.concatenate(parts, axis=-1)


POOLS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "average": lambda x: nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False),
    "max": lambda x: nn.max_pool(x, (3, 3), padding="SAME"),
    "halved": lambda x: nn.max_pool(x, (3, 3), (2, 2)),
}


def _mixed_5(pooled: int) -> Block:
    return {
        "branch1x1": [(64, 1, 1)],
        "branch5x5": [(48, 1, 1), (64, 5, 5)],
        "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
        "branch_pool": ["average", (pooled, 1, 1)],
    }


def _mixed_6(n: int) -> Block:
    return {
        "branch1x1": [(192, 1, 1)],
        "branch7x7": [(n, 1, 1), (n, 1, 7), (192, 7, 1)],
        "branch7x7dbl": [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)],
        "branch_pool": ["average", (192, 1, 1)],
    }


def _mixed_7(pool: str) -> Block:
    fork = ((384, 1, 3), (384, 3, 1))
    return {
        "branch1x1": [(320, 1, 1)],
        "branch3x3": [(384, 1, 1), fork],
        "branch3x3dbl": [(448, 1, 1), (384, 3, 3), fork],
        "branch_pool": [pool, (192, 1, 1)],
    }


BLOCKS: dict[str, Block] = {
    "Mixed_5b": _mixed_5(32),
    "Mixed_5c": _mixed_5(64),
    "Mixed_5d": _mixed_5(64),
    "Mixed_6a": {
        "branch3x3": [(384, 3, 3, 2)],
        "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3, 2)],
        "branch_pool": ["halved"],
    },
    "Mixed_6b": _mixed_6(128),
    "Mixed_6c": _mixed_6(160),
    "Mixed_6d": _mixed_6(160),
    "Mixed_6e": _mixed_6(192),
    "Mixed_7a": {
        "branch3x3": [(192, 1, 1), (320, 3, 3, 2)],
        "branch7x7x3": [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2)],
        "branch_pool": ["halved"],
    },
    "Mixed_7b": _mixed_7("average"),
    "Mixed_7c": _mixed_7("max"),
}


class InceptionNetwork(nn.Module):
    """Images [B, 299, 299, 3] in [-1, 1] -> features [B, 2048]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = BasicConv2d(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = BasicConv2d(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = POOLS["halved"](BasicConv2d(64, (3, 3), name="Conv2d_2b_3x3")(x))
        x = BasicConv2d(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = BasicConv2d(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x)
        x = POOLS["halved"](x)
        for name, branches in BLOCKS.items():
            x = Mixed(branches, name=name)(x)
        return x.mean(axis=(1, 2))


@dataclasses.dataclass(frozen=True)
class Inception:
    """Inception-v3 with weights from a file.

    Attributes:
      name: "Inception-v3 (FILE)".
      variables: variables of `InceptionNetwork`, NumPy arrays.
      digest: SHA-256 of the file, 16 hexadecimal digits; an .npz made from a .pth therefore counts
        as another extractor.
    """

    name: str
    variables: dict[str, Any]
    digest: str

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features of uint8 images [N, H, W, C], C 1 or 3: float32 [N, 2048], at least 0."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise ValueError(f"images are {images.dtype} {images.shape}, not uint8 [N, H, W, 1|3]")
        if not len(images):
            return np.zeros((0, FEATURES), np.float32)
        # With x64, a run in float64 would take twice the time for the same features.
        with jax.enable_x64(False), jax.default_matmul_precision("highest"):
            variables = jax.device_put(self.variables)  # 90 MB, once instead of for each batch.
            features: np.ndarray = map_batches(
                lambda batch, _: _forward(variables, batch), images, _BATCH
            )
        return features


def load(path: str) -> Inception:
    """Reads Inception-v3's weights from a file.

    Args:
      path: an .npz of arrays in PyTorch's layout under the state dictionary's names, or, if PyTorch
        is installed, that dictionary itself (.pth, .pt). Other entries are ignored.

    Raises:
      UserError: if the file is missing, cannot be read, or lacks arrays.
    """
    with reading(path, _REMEDY), open_file(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    read = _npz if path.endswith(".npz") else _state_dictionary
    arrays = read(path)
    return Inception(f"Inception-v3 ({os.path.basename(path)})", _variables(path, arrays), digest)


def prepared(images: jax.Array) -> jax.Array:
    """uint8 [B, H, W, C] -> the network's input, float32 [B, 299, 299, 3] in [-1, 1]."""
    x = images.astype(jnp.float32) / 127.5 - 1
    x = jax.image.resize(x, (len(x), SIZE, SIZE, x.shape[3]), "bilinear", antialias=False)
    return jnp.broadcast_to(x, (*x.shape[:3], 3))


@jax.jit
def _forward(variables: dict[str, Any], images: jax.Array) -> jax.Array:
    return cast(jax.Array, InceptionNetwork().apply(variables, prepared(images)))


_REMEDY = "name an .npz of Inception-v3's arrays, or its PyTorch state dictionary"
# Before it, `weights_only` did not keep a file from running code (CVE-2025-32434).
_SAFE_PYTORCH = (2, 6)


def _npz(path: str) -> dict[str, np.ndarray]:
    return read_arrays(path, path, _REMEDY, set(_names().values()))


def _state_dictionary(path: str) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path} needs PyTorch, which is not installed", "save it as an .npz of its arrays"
        ) from None
    if tuple(map(int, torch.__version__.split(".")[:2])) < _SAFE_PYTORCH:
        what = f"{path}: PyTorch {torch.__version__} may run code that a file brings"
        raise UserError(what, "install PyTorch 2.6 or later, or save it as an .npz of its arrays")
    with parsing(path, _REMEDY):
        # Weights only, because a pickle can run any code.
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}, not a state dictionary")
        return {k: v.float().numpy() for k, v in loaded.items() if isinstance(v, torch.Tensor)}


@functools.cache
def _shapes() -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shape of each of the network's variables by its path."""
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    tree = jax.eval_shape(InceptionNetwork().init, jax.random.key(0), image)
    return {path: leaf.shape for path, leaf in flatten_dict(tree).items()}


# PyTorch's names for Linen's variables.
_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


@functools.cache
def _names() -> dict[tuple[str, ...], str]:
    """PyTorch's name of each of the network's variables by its path."""
    return {key: ".".join((*key[1:-1], _NAMES[key[-1]])) for key in _shapes()}


def _variables(path: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    names = _names()
    missing = [name for name in names.values() if name not in arrays]
    if missing:
        raise UserError(
            f"{path} lacks {len(missing)} of Inception-v3's {len(names)} arrays, such as"
            f" {missing[0]}",
            "name a file with the arrays of pytorch-fid's weights, under their names",
        )
    leaves = {}
    for key, name in names.items():
        leaf = as_numbers(arrays[name], f"{path}: {name}", _REMEDY)
        # PyTorch's kernels are [out, in, height, width].
        leaf = leaf.transpose(2, 3, 1, 0) if leaf.ndim == 4 else leaf
        if leaf.shape != _shapes()[key]:
            raise UserError(
                f"{path}: {name} is {arrays[name].shape}, not of Inception-v3's shape",
                "name a file with the arrays of pytorch-fid's weights",
            )
        leaves[key] = leaf
    return unflatten_dict(leaves)
