"""Random changes of images, pure and differentiable."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from jaxgan.common.rng import stream


def random_affine(
    key: jax.Array, images: jax.Array, rotation: float, shift: float, scale: float
) -> jax.Array:
    """Applies an independent random affine transformation to each image, with bilinear sampling.

    Angle, shifts and size are drawn uniformly: an angle within ±`rotation` about the centre, a
    shift along each axis within ±`shift` of the side, and a size within 1 ± `scale`. Pixels from
    outside an image have the value of its nearest pixel.

    Args:
      key: PRNG key of the transformations.
      images: floating point, [B, H, W, C].
      rotation: in radians, at least 0.
      shift: share of the image's side, at least 0.
      scale: from 0 to below 1.

    Returns:
      [B, H, W, C].
    """
    height, width = images.shape[1:3]
    draws = jax.random.uniform(key, (4, len(images), 1, 1), images.dtype, -1, 1)
    angle, size = rotation * draws[0], 1 + scale * draws[1]
    cosine, sine = jnp.cos(angle) / size, jnp.sin(angle) / size
    y, x = _centred(height)[None, :, None], _centred(width)[None, None, :]
    # Where each pixel of the result comes from.
    rows = cosine * y - sine * x + (height - 1) / 2 + shift * height * draws[2]
    columns = sine * y + cosine * x + (width - 1) / 2 + shift * width * draws[3]

    def channel(plane: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        return map_coordinates(plane, [rows, columns], order=1, mode="nearest")

    of_image = jax.vmap(channel, in_axes=(-1, None, None), out_axes=-1)
    return jax.vmap(of_image)(images, rows.astype(images.dtype), columns.astype(images.dtype))


def _centred(n: int) -> jax.Array:
    return jnp.arange(n) - (n - 1) / 2


# --- Differentiable augmentation (Zhao et al. 2020): the discriminator sees real and generated
# images after the same kinds of random changes, through which the generator's gradient passes, so
# that it cannot learn few images by heart. Pixels are in [-1, 1]; values may leave that range.


def random_color(key: jax.Array, images: jax.Array) -> jax.Array:
    """Changes each image's brightness by up to ±.5, its saturation by a factor in (0, 2) and its
    contrast by one in (.5, 1.5): [B, H, W, C] -> [B, H, W, C]."""
    brightness, saturation, contrast = jax.random.uniform(
        key, (3, len(images), 1, 1, 1), images.dtype
    )
    images = images + brightness - 0.5
    grey = jnp.mean(images, axis=-1, keepdims=True)
    images = grey + 2 * saturation * (images - grey)
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (0.5 + contrast) * (images - mean)


def random_translation(key: jax.Array, images: jax.Array) -> jax.Array:
    """Shifts each image by up to an eighth of its sides, rounded to pixels, and fills with 0:
    [B, H, W, C] -> [B, H, W, C]."""
    height, width = images.shape[1:3]
    most = (height + 4) // 8, (width + 4) // 8
    padded = jnp.pad(images, ((0, 0), (most[0], most[0]), (most[1], most[1]), (0, 0)))
    keys = jax.random.split(key, 2)
    starts = [
        jax.random.randint(key, (len(images),), 0, 2 * n + 1)
        for key, n in zip(keys, most, strict=True)
    ]

    def cut(image: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (row, column, 0), images.shape[1:])

    return jax.vmap(cut)(padded, *starts)


def random_cutout(key: jax.Array, images: jax.Array) -> jax.Array:
    """Sets a rectangle of half the sides to 0 in each image. Its centre is drawn from the whole
    image, so that a part of it may lie outside: [B, H, W, C] -> [B, H, W, C]."""
    height, width = images.shape[1:3]
    keys = jax.random.split(key, 2)

    def inside(key: jax.Array, side: int) -> jax.Array:
        first = jax.random.randint(key, (len(images), 1), 0, side + 1) - side // 4
        place = jnp.arange(side)[None]
        return (place >= first) & (place < first + side // 2)

    rows, columns = inside(keys[0], height), inside(keys[1], width)
    cut = rows[:, :, None, None] & columns[:, None, :, None]
    return jnp.where(cut, 0, images)


# In the order in which they are applied.
AUGMENTATIONS = {
    "color": random_color,
    "translation": random_translation,
    "cutout": random_cutout,
}


def augmentations(text: str) -> tuple[str, ...]:
    """The names in the config's `augment`, such as "color+cutout", in the order in which they are
    applied."""
    return tuple(name for name in AUGMENTATIONS if name in text.split("+"))


def augment(
    key: jax.Array, images: jax.Array, names: tuple[str, ...], low: float = -1.0
) -> jax.Array:
    """Applies the named `AUGMENTATIONS` to each image by itself, differentiably.

    Args:
      key: PRNG key of all changes.
      images: floating point, [B, H, W, C].
      names: from `augmentations`; () returns the images as they are.
      low: lower end of the pixels' range, whose upper end is 1: -1 or 0.
    """
    if not names:
        return images
    width = 1 - low
    x = (images - low) * (2 / width) - 1
    for name in names:
        x = AUGMENTATIONS[name](stream(key, name), x)
    return low + (x + 1) * (width / 2)


def mirror(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors every image left to right with probability 1/2: [B, H, W, C] -> [B, H, W, C]."""
    mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)
