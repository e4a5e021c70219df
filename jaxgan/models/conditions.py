"""The condition of a conditional GAN, y in eq. 2 of Mirza and Osindero 2014: a class, a part of the
image, or another modality.

A condition is an array with one row for each example. The generator has it in `Latent.condition`,
the discriminator as its second argument.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Label:
    """The class as a one-hot vector, [B, classes].

    Attributes:
      classes: their number, at least 2.
      members: the classes that occur in the data; labels are drawn from them.
      prior: of generated images' labels: "data", those of the step's real images, or "uniform".
    """

    classes: int
    members: tuple[int, ...]
    prior: str = "data"

    def of(self, images: jax.Array, labels: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from their labels, int32 [B]."""
        del images
        assert labels is not None
        return jax.nn.one_hot(labels, self.classes, dtype=dtype)

    def draw(self, key: jax.Array, n: int, dtype: Any) -> jax.Array:
        """n labels, uniform over the members: [n, classes]."""
        places = jax.random.randint(key, (n,), 0, len(self.members))
        return jax.nn.one_hot(jnp.asarray(self.members)[places], self.classes, dtype=dtype)

    def every(self, times: int, dtype: Any) -> jax.Array:
        """Each member `times` times, member by member: [members * times, classes]."""
        labels = jnp.repeat(jnp.asarray(self.members), times)
        return jax.nn.one_hot(labels, self.classes, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class MaskedImage:
    """The image with a square hole in its middle, to be filled (inpainting): [B, H, W, C + 1].

    The last channel is 1 where the image is known and 0 in the hole; in the hole the others are 0.

    Attributes:
      hole: the hole's side as a share of the image's.
    """

    hole: float

    def of(self, images: jax.Array, labels: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from the images in the network's range, [B, H, W, C]."""
        del labels
        known = self.mask(images.shape[1], images.shape[2]).astype(dtype)
        known = jnp.broadcast_to(known[None, :, :, None], (*images.shape[:3], 1))
        return jnp.concatenate([images.astype(dtype) * known, known], axis=-1)

    def mask(self, height: int, width: int) -> jax.Array:
        """True where the image is known, [height, width]."""

        def inside(size: int) -> jax.Array:
            side = round(size * self.hole)
            first = (size - side) // 2
            place = jnp.arange(size)
            return (place >= first) & (place < first + side)

        return ~(inside(height)[:, None] & inside(width)[None, :])


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of another modality, [B, size]: of the image that a word is a tag of.

    Attributes:
      size: their number.
    """

    size: int

    def of(self, images: jax.Array, features: jax.Array | None, dtype: Any) -> jax.Array:
        """The condition of real examples, from their features, float [B, size]."""
        del images
        assert features is not None
        return features.astype(dtype)


Condition = Label | MaskedImage | Features


def make(
    config: ConfigDict, label_names: Sequence[str], classes: Sequence[int], features: int = 0
) -> Condition | None:
    """The condition that `config.condition` names, or None.

    Args:
      config: of the run.
      label_names: of the dataset, () without labels.
      classes: the labels that occur in it.
      features: their number for each example, or 0.

    Raises:
      UserError: if labels or features are asked for and there are none.
    """
    settings = config.condition
    if settings.kind == "none":
        return None
    if settings.kind == "known_part":
        return MaskedImage(settings.hole)
    if settings.kind == "features":
        if not features:
            raise UserError(
                f"condition.kind=features: {config.dataset.name} has none",
                "take glyph_tags, mirflickr or tags",
            )
        return Features(features)
    if len(label_names) < 2 or not classes:
        raise UserError(
            f"condition.kind=label: {config.dataset.name} has no labels",
            "take a dataset with labels (a folder for each class, for instance), or configs/gan.py",
        )
    return Label(len(label_names), tuple(classes), settings.prior)
