"""Random changes of images, pure and differentiable."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates


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
