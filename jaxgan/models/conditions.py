"""The condition of a conditional GAN, y of Mirza and Osindero 2014, eq. 2: a class, a part of the
image, or another modality.

A condition is an array with one row per example. The generator receives it as `Latent.condition`,
the discriminator as its second argument; each network concatenates, broadcasts or embeds it.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.data.sources import image_folder


@dataclasses.dataclass(frozen=True)
class Label:
    """The class as a one-hot vector, [B, classes].

    Attributes:
      classes: number of classes, at least 2.
      members: the classes that occur in the data; fake labels are drawn from them.
      prior: source of a generated image's label: "data" (the step's real images) or "uniform".
    """

    classes: int
    members: tuple[int, ...]
    prior: str = "data"

    def of(self, images: jax.Array, labels: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from their labels, int32 [B]."""
        assert labels is not None
        return jax.nn.one_hot(labels, self.classes, dtype=dtype)

    def draw(self, key: jax.Array, n: int, dtype: Any) -> jax.Array:
        """n labels, uniform over the members: [n, classes]."""
        drawn = jax.random.randint(key, (n,), 0, len(self.members))
        return jax.nn.one_hot(jnp.asarray(self.members)[drawn], self.classes, dtype=dtype)

    def every(self, times: int, dtype: Any) -> jax.Array:
        """Each member `times` times in a row: [members * times, classes]."""
        labels = jnp.repeat(jnp.asarray(self.members), times)
        return jax.nn.one_hot(labels, self.classes, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class MaskedImage:
    """The image without its central square, for inpainting: [B, H, W, C + 1].

    The last channel is 1 where the image is known; all channels are 0 in the hole.

    Attributes:
      hole: side of the hole as a fraction of the image's side.
    """

    hole: float

    def of(self, images: jax.Array, labels: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from images [B, H, W, C] in the network's range."""
        known = self.mask(images.shape[1], images.shape[2]).astype(dtype)
        known = jnp.broadcast_to(known[None, :, :, None], (*images.shape[:3], 1))
        return jnp.concatenate([images.astype(dtype) * known, known], axis=-1)

    def mask(self, height: int, width: int) -> jax.Array:
        """True where the image is known, [height, width]."""

        def inside(size: int) -> jax.Array:
            side = round(size * self.hole)
            first = (size - side) // 2
            position = jnp.arange(size)
            return (position >= first) & (position < first + side)

        return ~(inside(height)[:, None] & inside(width)[None, :])


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of another modality, such as those of the image that a word tags: [B, size].

    Attributes:
      size: number of features.
    """

    size: int

    def of(self, images: jax.Array, features: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from their features, float [B, size]."""
        assert features is not None
        return features.astype(dtype)


Condition = Label | MaskedImage | Features


def make(
    config: ConfigDict, label_names: Sequence[str], classes: Sequence[int], features: int = 0
) -> Condition | None:
    """The condition that `config.condition` names, or None.

    Args:
      config: the run's config.
      label_names: names of the dataset's labels; () without labels.
      classes: the labels that occur in the dataset.
      features: number of features that accompany each example; 0 without.

    Raises:
      UserError: if the condition needs labels or features that the dataset lacks.
    """
    settings = config.condition
    if settings.kind == "none":
        return None
    if settings.kind == "known_part":
        return MaskedImage(settings.hole)
    if settings.kind == "features":
        if not features:
            raise UserError(
                f"condition.kind=features: {config.dataset.name} has no features",
                "choose glyph_tags, mirflickr or tags",
            )
        return Features(features)
    if len(label_names) == 1:
        inner = ""
        if config.dataset.name == "folder":
            # Only a hint: a class's name may not be its folder's, in which some characters are
            # escaped.
            with contextlib.suppress(UserError):
                folder = buckets.fetched(config.dataset.data_dir)
                folders = image_folder.inner_folders(folder, label_names[0])
                inner = f" (it holds the folders {', '.join(folders)})" if folders else ""
        what = f"{config.dataset.name} has one class only: {label_names[0]}{inner}"
        remedy = "set dataset.data_dir to the folder that holds a folder for each class"
        raise UserError(f"condition.kind=label: {what}", remedy)
    if not label_names or not classes:
        raise UserError(
            f"condition.kind=label: {config.dataset.name} has no labels",
            "choose a dataset with labels (such as one folder per class), or use configs/gan.py",
        )
    return Label(len(label_names), tuple(classes), settings.prior)
