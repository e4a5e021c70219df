"""What a dataset is, and the one conversion between its bytes and a network's numbers."""

import dataclasses
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config import UserError


@dataclasses.dataclass(frozen=True)
class Split:
    """Images, uint8 [N, H, W, C], and their labels, int32 [N] (None where there are none)."""

    images: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.images)

    def where(self, labels: list[int]) -> "Split":
        """The examples with one of these labels."""
        assert self.labels is not None
        chosen = np.isin(self.labels, labels)
        return Split(self.images[chosen], self.labels[chosen])

    def first(self, n: int) -> "Split":
        """The first n examples (all, where there are fewer)."""
        return Split(self.images[:n], None if self.labels is None else self.labels[:n])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three splits of one kind of image (validation and test may be empty), and the names of the
    labels."""

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def digest(self) -> str:
        """SHA-256 (16 hexadecimal digits) of the training images: tells two datasets apart."""
        return hashlib.sha256(self.train.images.tobytes()).hexdigest()[:16]

    def only(self, classes: str) -> "Dataset":
        """The examples of some classes, given by name or number and joined by "+"; "" is all.

        Labels keep their numbers.

        Raises:
          UserError: if a class is not there.
        """
        if not classes:
            return self
        if not self.label_names:
            raise UserError(f"dataset.classes={classes}: {self.name} has no labels")
        wanted = []
        for name in classes.split("+"):
            if name in self.label_names:
                wanted.append(self.label_names.index(name))
            elif name.isdigit() and int(name) < len(self.label_names):
                wanted.append(int(name))
            else:
                raise UserError(
                    f"dataset.classes={classes}: {self.name} has no class '{name}'",
                    f"there are: {', '.join(self.label_names)}",
                )
        return dataclasses.replace(
            self,
            train=self.train.where(wanted),
            validation=self.validation.where(wanted),
            test=self.test.where(wanted),
        )

    def require_batch(self, size: int) -> None:
        """Raises UserError if a batch is larger than the training split."""
        if size > len(self.train):
            raise UserError(
                f"a batch of {size} is larger than {self.name}'s {len(self.train)} training images",
                "lower batch_size (or discriminator_batch_size)",
            )


def to_network(images: jax.Array, low: float, dtype: Any = jnp.float32) -> jax.Array:
    """uint8 0..255 -> [low, 1]: low is 0 for a generator that ends in a sigmoid, -1 for a tanh.

    Numbers that are no bytes pass as they are.
    """
    if images.dtype != jnp.uint8:
        return images.astype(dtype)
    return images.astype(dtype) * ((1 - low) / 255) + low


def to_uint8(images: jax.Array | np.ndarray, low: float) -> np.ndarray:
    """[low, 1] -> uint8 0..255, rounded to the nearest; the inverse of `to_network`."""
    scaled = (np.asarray(images, np.float32) - low) * (255 / (1 - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Brings uint8 [N, H, W, C] to [N, size, size, C]: the central square, resampled (bicubic)."""
    from PIL import Image

    n, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    out = np.empty((n, size, size, channels), np.uint8)
    for i in range(n):
        for c in range(channels):
            plane = Image.fromarray(square[i, :, :, c])
            out[i, :, :, c] = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC))
    return out
